"""audit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.cli import forms
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session

_VERIFY_S = 600.0
_SHOWN = {"seq", "epoch", "ts", "kind", "hash", "prev", "who", "via", "what", "device", "tag", "old", "new"}
_FINE = {"ok", "queued", "succeeded", "cancelled"}
_RESULT = {"state", "code", "value", "text"}


def audit(session: Session) -> int:
    """Who changed what. With --verify exit 1 when an entry was changed or is missing."""
    if session.option("file"):
        return _verify_file(session, Path(session.args.file))
    since = session.option("since")
    asked: dict[str, Any] = {"who": session.option("who"), "device": session.option("device")}
    asked |= {"limit": session.args.limit, "verify": session.args.verify}
    if since is not None:
        asked["since_ms"] = int((time.time() - since) * 1000)
    answer = session.call("audit", asked, _VERIFY_S)
    if session.args.verify:
        return _tell(session, answer)
    if session.out.as_json:
        session.out.result(answer)
    else:
        _print(session, answer.get("entries", []))
    return Exit.OK


def _print(session: Session, entries: list[dict[str, Any]]) -> None:
    if not entries:
        session.out.line("no entry")
        return
    cells = [_cells(entry) for entry in entries]
    styles = ["bad" if entry.get("state", "ok") not in _FINE else "" for entry in entries]
    session.out.table((">number", "time", "who", "via", "what", "where", "before", "after", "result"), cells, styles)


def _cells(entry: dict[str, Any]) -> list[str]:
    where = ".".join(str(entry[key]) for key in ("device", "tag") if entry.get(key))
    rest = {key: item for key, item in entry.items() if key not in _SHOWN | _RESULT}
    result = [str(entry[key]) for key in ("state", "code") if key in entry]
    result += [f"read {forms.value(entry['value'])}"] if "value" in entry else []
    result += [str(entry["text"])] if entry.get("text") else []
    result += [f"{key}={forms.value(item)}" for key, item in rest.items()]
    return [
        str(entry.get("seq", "-")),
        forms.clock(entry.get("ts")),
        str(entry.get("who", "")),
        str(entry.get("via", "")),
        str(entry.get("what", "")),
        where,
        forms.value(entry["old"]) if "old" in entry else "",
        forms.value(entry["new"]) if "new" in entry else "",
        " ".join(result),
    ]


def _tell(session: Session, verdict: dict[str, Any]) -> int:
    """The verdict on a chain."""
    status = Exit.OK if verdict.get("ok") else Exit.FAILED
    if session.out.as_json:
        session.out.result(verdict)
        return status
    for hole in verdict.get("gaps", []):
        text = f"epoch {hole['epoch']}: numbers {hole['from']} to {hole['to']} are not here any more ({hole['why']})"
        session.out.line(clean(text))
    for begin in verdict.get("begins", []):
        session.out.line(f"epoch {begin['epoch']}: begins with {begin['seq']}; what came before it is not here")
    if verdict.get("ok"):
        for head in verdict.get("heads", []):
            session.out.line(clean(f"epoch {head['epoch']}: the last entry is {head['seq']}, {head['hash']}"))
        session.out.line(session.out.styled(f"ok: {verdict.get('entries')} entries, each as it was written", "good"))
    else:
        fault = verdict.get("fault") or {}
        session.out.line(session.out.styled(clean(f"broken, {fault.get('kind')}: {fault.get('text')}"), "bad"))
    return status


def _verify_file(session: Session, file: Path) -> int:
    if not session.args.verify:
        raise CommandFailed("--file goes with --verify", Exit.USAGE)
    from gateway.chainfile import NotAudit, verify_lines

    try:
        with file.open(encoding="utf-8") as lines:
            return _tell(session, verify_lines(_objects(lines)).view())
    except (ValueError, NotAudit) as error:
        raise CommandFailed(f"{file}: {error}") from error


def _objects(lines: Iterator[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number} is not JSON: {error}") from error
