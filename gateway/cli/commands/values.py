"""tags, read, write."""

from __future__ import annotations

import json
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.field import read_addresses
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.local.wire import OpError

_DEVICE_S = 60.0
_NOT_FOUND = 404
HEADER = ("tag", ">value", "unit", "quality", ">age")


def tags(session: Session) -> int:
    """The latest values, or with --watch every change."""
    args: dict[str, Any] = {"tags": list(session.args.tag), "hidden": session.args.hidden}
    if session.args.watch:
        return _watch(session, args)
    answer = session.call("tags", args)
    _show(session, answer)
    return Exit.OK


def read(session: Session) -> int:
    """Ask the devices now. Exit 1 when a value did not come."""
    names = list(session.args.tag)
    if session.option("type") or session.option("count"):
        return read_addresses(session, names)
    try:
        answer = session.call("read", {"tags": names}, _DEVICE_S)
    except OpError as error:
        addresses = [name for name in names if _may_be_address(name)]
        if error.code != _NOT_FOUND or not addresses:
            raise
        others = [name for name in names if name not in addresses]
        rows = session.call("read", {"tags": others}, _DEVICE_S).get("tags", []) if others else []
        return read_addresses(session, addresses, rows)
    _show(session, answer)
    bad = any(str(row.get("quality", "")).startswith("bad") for row in answer.get("tags", []))
    return Exit.FAILED if bad else Exit.OK


def write(session: Session) -> int:
    """Write, and show what was read back. Exit 1 when any did not succeed."""
    pairs = [assignment(text) for text in session.args.assignment]
    values = dict(pairs)
    if len(values) < len(pairs):
        raise CommandFailed("a tag is given twice", Exit.USAGE)
    asked: dict[str, Any] = {"values": values} | ({"dry_run": True} if session.args.dry_run else {})
    answer = session.call("write", asked, _DEVICE_S)
    results = answer.get("results", [])
    if session.out.as_json:
        session.out.result(answer)
    else:
        rows = [
            (
                f"{row['device']}.{row['tag']}",
                forms.value(row.get("value")),
                str(row.get("state")),
                str(row.get("code")),
                "yes" if row.get("verified") else "no",
                str(row.get("text") or ""),
            )
            for row in results
        ]
        styles = ["" if row.get("state") == "ok" else "bad" for row in results]
        session.out.table(("tag", ">value", "state", ">code", "verified", ""), rows, styles)
    return Exit.OK if results and all(row.get("state") == "ok" for row in results) else Exit.FAILED


def _may_be_address(name: str) -> bool:
    """Whether what follows the device looks like an address rather than a tag."""
    address = name.partition(".")[2]
    return address.partition("/")[2][:1].isdigit() or address.partition(".")[0].isdigit()


def row_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row of `tags` as cells under HEADER."""
    text = forms.value(row.get("value"))
    if row.get("label") is not None:
        text = f"{text} ({row['label']})"
    last = row.get("last")
    if row.get("value") is None and isinstance(last, dict):  # what it was before the device went away, for people
        text = f"was {forms.value(last.get('value'))}"
    elif row.get("asked") is False:
        text = "not asked yet"
    name = f"{row.get('device')}.{row.get('tag')}"
    return name, text, str(row.get("unit") or ""), str(row.get("quality")), forms.age(row.get("age"))


def row_style(row: dict[str, Any]) -> str:
    if row.get("asked") is False:
        return "dim"
    return forms.quality_style(str(row.get("quality", "")))


def _show(session: Session, answer: dict[str, Any]) -> None:
    if session.out.as_json:
        session.out.result(answer)
        return
    rows = answer.get("tags", [])
    session.out.table(HEADER, [row_cells(row) for row in rows], [row_style(row) for row in rows])
    for row in rows:
        if "why" in row:
            session.out.line(clean(f"{row['device']}.{row['tag']}: {row['why']}"))


def _watch(session: Session, args: dict[str, Any]) -> int:
    """One row a line until interrupted, which is how a watch ends well."""
    try:
        with session.client() as client:
            for row in client.stream("watch", args):
                _print_change(session, row)
    except KeyboardInterrupt:
        return Exit.OK
    return Exit.FAILED  # the gateway ended it


def _print_change(session: Session, row: dict[str, Any]) -> None:
    if session.out.as_json:
        session.out.result(row)
    elif "dropped" in row:
        session.out.line(f"({row['dropped']} changes came faster than they could be shown)")
    else:
        name, text, unit, quality, _ = row_cells(row)
        line = f"{forms.clock(row.get('ts'))}  {name:<28} {text:>12} {unit:<6} {quality}"
        session.out.line(session.out.styled(clean(line.rstrip()), row_style(row)))


def assignment(text: str) -> tuple[str, Any]:
    """`pump.run=true` -> ("pump.run", True). A value that is no JSON scalar is text."""
    name, equals, raw = text.partition("=")
    if not equals or not name.strip():
        raise CommandFailed(f"{text!r} is not an assignment: write DEVICE.TAG=VALUE", Exit.USAGE)
    try:
        value = json.loads(raw, parse_constant=_not_a_number)
    except ValueError:
        value = raw
    return name.strip(), raw if isinstance(value, dict | list) else value


def _not_a_number(text: str) -> Any:
    raise ValueError(text)
