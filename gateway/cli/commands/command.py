"""command: any op of the protocol by id, over the local socket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.byhand import who
from gateway.cli.commands.values import assignment
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session

_WAIT_S = 120.0
_WITH_VALUES = ("write", "force")
_NO_TAGS = ("for", "reason", "dry_run")
"""Arguments of ops with values that are not tags; a tag of such a name is given with --args."""
_DURATIONS = ("for", "every")
_LISTS = ("tags", "parts")


def command(session: Session) -> int:
    """Do it and show the result. Exit 1 unless it is done."""
    device, pairs = _words(session.args.words)
    called, pairs = _words(pairs) if session.args.op == "call" else (None, pairs)
    args = _arguments(session, pairs) if called is None else _call_arguments(session, called, pairs)
    asked: dict[str, Any] = {"op": session.args.op, "args": args, "origin": who()}
    if device is not None:
        asked["device"] = device
    if session.option("rid"):
        asked["rid"] = session.args.rid
    if session.option("ttl") is not None:
        asked["ttl"] = round(session.args.ttl * 1000)
    answer = session.call("command", asked, _WAIT_S)
    if session.out.as_json:
        session.out.result(answer)
    else:
        _show(session, answer)
    return Exit.OK if answer.get("state") == "done" else Exit.FAILED


def _words(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The device, which is the first word without an equals sign, and the assignments."""
    if words and "=" not in words[0]:
        return words[0], words[1:]
    return None, words


def _call_arguments(session: Session, name: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Of `call DEVICE NAME KEY=VALUE ...`: the assignments are values for the command, or arguments of the method."""
    args = _arguments(session, ())
    given = args.setdefault("args", {})
    if not isinstance(given, dict):
        raise CommandFailed("--args: `args` in it is a JSON object", Exit.USAGE)
    return {**args, "method": name, "args": given | dict(map(assignment, pairs))}


def _arguments(session: Session, pairs: Sequence[str]) -> dict[str, Any]:
    args: dict[str, Any] = {}
    if session.option("args"):
        try:
            args = json.loads(session.args.args)
        except ValueError as error:
            raise CommandFailed(f"--args is not JSON: {error}", Exit.USAGE) from error
        if not isinstance(args, dict):
            raise CommandFailed("--args is a JSON object", Exit.USAGE)
    for pair in pairs:
        name, value = assignment(pair)
        if session.args.op in _WITH_VALUES and name not in _NO_TAGS:
            args.setdefault("values", {})[name] = value
        else:
            args[name] = _argument(name, value)
    return args


def _argument(name: str, value: Any) -> Any:
    if name in _DURATIONS and isinstance(value, str):
        try:
            return round(forms.duration(value) * 1000)
        except ValueError as error:
            raise CommandFailed(f"{name}: {error}", Exit.USAGE) from error
    if name in _LISTS and isinstance(value, str):
        return value.split(",")
    return value


def _show(session: Session, answer: dict[str, Any]) -> None:
    out = session.out
    line = f"{answer.get('rid')}  {answer.get('state')} {answer.get('code')}  {answer.get('text') or ''}"
    out.line(out.styled(clean(line.rstrip()), "good" if answer.get("state") == "done" else "bad"))
    items = answer.get("items") or {}
    if items:
        rows = [
            (
                tag,
                forms.value(item.get("value")) + (f" {clean(item['label'])}" if "label" in item else ""),
                str(item.get("code", "")),
                str(item.get("quality") or ("verified" if item.get("verified") else "")),
                str(item.get("text") or ""),
            )
            for tag, item in items.items()
        ]
        styles = ["" if item.get("code", 200) == 200 else "bad" for item in items.values()]
        out.table(("tag", ">value", ">code", "quality", ""), rows, styles)
    for name, content in (answer.get("out") or {}).items():
        out.line(clean(f"{name}: {content if isinstance(content, str) else json.dumps(content)}"))
