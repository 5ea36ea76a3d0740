"""trace, scan, and reading addresses that no tag names."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.cli import forms
from gateway.cli.commands.scanning import refuse_foreign, scan_other
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.target import holder_of, same_line, target_of
from gateway.errors import ConfigError
from gateway.settings.loader import load_tree
from rules.expression import RuleExpressions

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


def trace(session: Session) -> int:
    """Frames as they come, until the time is up."""
    args = {"name": session.args.name, "for_s": session.args.lasting}
    with session.client(max(60.0, session.args.lasting + 30.0)) as client:
        try:
            for row in client.stream("trace", args):
                _print_frame(session, row)
        except KeyboardInterrupt:
            return Exit.OK
    return Exit.OK


def _print_frame(session: Session, row: Mapping[str, Any]) -> None:
    if session.out.as_json:
        session.out.result(dict(row))
    elif "lost" in row or "dropped" in row:
        session.out.line(f"({row.get('lost', row.get('dropped'))} frames came faster than they could be shown)")
    else:
        ms = int(row["ts"])
        at = f"{time.strftime('%H:%M:%S', time.localtime(ms / 1000))}.{ms % 1000:03d}"
        arrow = "->" if row["direction"] == "sent" else "<-"
        session.out.line(f"{at} {arrow} {row['hex']}")
        session.out.line(session.out.styled(f"                {clean(str(row['text']))}", "dim"))


def scan(session: Session) -> int:
    """What is on a wire: units, what they are, what can be read and what it may mean."""
    args = session.args
    refuse_foreign(session)
    if args.protocol != "modbus":
        return scan_other(session)
    if not session.option("target"):
        raise CommandFailed("scan modbus takes a channel, a host or a serial port", Exit.USAGE)
    if session.option("write") and session.option("draft") is None:
        raise CommandFailed("--write writes a draft: say --draft NAME", Exit.USAGE)
    where = target_of(args.protocol, args.target, session.option("line"))
    _not_another_line(session, where)
    draft = session.option("draft")
    if draft is not None:
        from gateway.cli.commands.draft import check_name

        check_name(session, draft)
    options: dict[str, Any] = {}
    if session.option("units") is not None:
        options["units"] = args.units
    if session.option("ranges"):
        options["ranges"] = args.ranges
    if session.option("timeout") is not None:
        options["timeout_s"] = args.timeout
    findings = collect(session, {"driver": args.protocol, **where, "options": options})
    if draft is None and session.out.as_json:
        session.out.result({"ok": True, "findings": findings})
    elif not session.out.as_json:
        show_findings(session, findings)
    if draft is not None:
        from gateway.cli.commands.draft import write_draft

        write_draft(session, where, draft, findings)
    return Exit.OK if any("unit" in finding for finding in findings) else Exit.FAILED


def _not_another_line(session: Session, where: dict[str, Any]) -> None:
    """A port that a channel holds is scanned as the channel opened it, so that --line cannot say otherwise."""
    line = session.option("line")
    if line is None:
        return
    try:
        channels = load_tree(session.config_dir, expressions=RuleExpressions()).channels
    except (CommandFailed, ConfigError):  # a scan needs no good configuration
        return
    held = holder_of(channels, session.args.protocol, where)
    if held is not None:
        same_line(held, line)


def collect(session: Session, args: dict[str, Any]) -> list[dict[str, Any]]:
    """All findings of a scan, with a progress bar on a terminal."""
    bar = _Bar(sys.stderr.isatty() and not session.out.as_json)
    found = []
    try:
        with session.client(120.0) as client:
            for item in client.stream("scan", args):
                if "done" in item:
                    bar.show(int(item["done"]), int(item["of"]))
                elif "dropped" in item:
                    raise CommandFailed("findings came faster than they were taken, and some are lost: scan again")
                else:
                    found.append(item)
    finally:
        bar.clear()
    return found


class _Bar:
    """A line that is drawn over itself, only where people look."""

    WIDTH = 40
    LOOK_BACK = 20
    """Steps by whose time the rest is judged: an answer takes a small part of a silence."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._times = deque([time.monotonic()], maxlen=self.LOOK_BACK + 1)

    def show(self, done: int, of: int) -> None:
        if self._wanted:
            self._times.append(time.monotonic())
            full = self.WIDTH * done // max(of, 1)
            left = (self._times[-1] - self._times[0]) / (len(self._times) - 1) * (of - done)
            text = f"\r[{'#' * full}{' ' * (self.WIDTH - full)}] {done}/{of}, about {left:.0f} s left "
            sys.stderr.write(text)
            sys.stderr.flush()

    def clear(self) -> None:
        if self._wanted:
            sys.stderr.write("\r" + " " * (self.WIDTH + 40) + "\r")
            sys.stderr.flush()


def show_findings(session: Session, findings: Sequence[Mapping[str, Any]]) -> None:
    """Findings as text and tables."""
    if not findings:
        session.out.line("nothing answered")
    for finding in findings:
        unit = finding.get("unit")
        if "answers" in finding:
            session.out.line(session.out.styled(f"unit {unit} answers ({clean(str(finding['answers']))})", "bold"))
        elif "identity" in finding:
            words = ", ".join(f"{key} {value}" for key, value in finding["identity"].items())
            session.out.line(clean(f"  it says: {words}"))
        elif "sunspec" in finding:
            models = ", ".join(f"{m['model']} at {m['base']}" for m in finding["sunspec"]["models"])
            session.out.line(f"  SunSpec at {finding['sunspec']['base']}: models {models}")
        elif "bits" in finding:
            session.out.line(f"  {finding['table']}/{finding['first']}-{finding['last']}: {finding['bits']}")
        elif "rows" in finding:
            session.out.line(f"  {finding['table']}/{finding['first']}-{finding['last']}, first {finding['address']}")
            show_registers(session, finding)


def show_registers(session: Session, finding: Mapping[str, Any]) -> None:
    """Each register with everything it could be, and what is likely."""
    likely = {row["offset"]: row for row in finding.get("guess", [])}
    header = (
        "address",
        "hex",
        ">uint16",
        ">int16",
        "text",
        *(f">float32 {o}" for o in ORDERS),
        *(f">int32 {o}" for o in ORDERS),
        "likely",
    )
    cells = []
    for row in finding["rows"]:
        floats, ints = row.get("float32") or {}, row.get("int32") or {}
        cells.append(
            (
                f"{finding['table']}/{row['offset']}" + ("*" if row.get("moved") else ""),
                str(row["hex"]),
                str(row["uint16"]),
                str(row["int16"]),
                str(row["text"]),
                *(_short(floats.get(order)) for order in ORDERS),
                *(str(ints.get(order, "")) for order in ORDERS),
                _guess(likely.get(row["offset"])),
            )
        )
    session.out.table(header, cells)
    if any(row.get("moved") for row in finding["rows"]):
        session.out.line("  * moved between two looks")


def _short(value: Any) -> str:
    if not isinstance(value, int | float):
        return "-"
    return forms.value(float(value)) if 1e-4 <= abs(value) < 1e9 or value == 0 else f"{value:.1e}"


def _guess(row: Mapping[str, Any] | None) -> str:
    if row is None or not row.get("why"):
        return ""
    order = f" {row['word_order']}" if row.get("word_order") else ""
    return f"{row['type']}{order} = {row['value']}"


def read_addresses(session: Session, names: Sequence[str], tags: Sequence[dict[str, Any]] = ()) -> int:
    """`fieldpost read DEVICE.ADDRESS`: with --type as a value, else raw in every reading. `tags`: rows read already."""
    places = [_place(name) for name in names]
    rows, findings, code = list(tags), [], Exit.OK
    for name, (device, address) in zip(names, places, strict=True):
        if session.option("type"):
            rows += session.call("probe", {"device": device, "keys": _keys(session, address)}, 60.0).get("tags", [])
            continue
        options = {"address": address, "count": session.option("count") or 2, "identify": False}
        found = collect(session, {"device": device, "options": options})
        findings += found
        if not any("rows" in each or "bits" in each for each in found):
            code = Exit.FAILED
            if not session.out.as_json:
                session.out.line(f"{name}: {_why(found)}")
    if any(str(row.get("quality", "")).startswith("bad") for row in rows):
        code = Exit.FAILED
    if session.out.as_json:
        raw = {} if session.option("type") else {"findings": findings}
        session.out.result({**({"tags": rows} if rows or not raw else {}), **raw})
        return code
    if rows:
        from gateway.cli.commands.values import HEADER, row_cells, row_style

        session.out.table(HEADER, [row_cells(row) for row in rows], [row_style(row) for row in rows])
    if shown := [each for each in findings if "answers" not in each]:
        show_findings(session, shown)
    return code


def _place(name: str) -> tuple[str, str]:
    device, dot, address = name.partition(".")
    if not dot:
        raise CommandFailed(f"{name!r} is not DEVICE.ADDRESS", Exit.USAGE)
    return device, address


def _why(found: Sequence[Mapping[str, Any]]) -> str:
    """Why an address was not read, by what a scan of it found."""
    answers = next((str(each["answers"]) for each in found if "answers" in each), None)
    if answers is None:
        return "nothing answered"
    return "cannot be read" if answers in {"data", "late"} else f"refused: {clean(answers)}"


def _keys(session: Session, address: str) -> list[dict[str, Any]]:
    keys: dict[str, Any] = {"address": address, "type": session.args.type}
    if not math.isfinite(session.option("scale") or 0.0):
        raise CommandFailed("--scale is a finite number", Exit.USAGE)
    for name in ("word_order", "length", "scale"):
        if session.option(name) is not None:
            keys[name] = session.option(name)
    return [keys]
