"""driver: what is installed, a project for a new one, the conformance checks, the quality ladder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.model import Value

_STYLE = {"pass": "good", "fail": "bad", "skip": "dim", "met": "good", "open": "bad", "exempt": "dim", "named": "dim"}


def driver(session: Session) -> int:
    """Dispatch to the action."""
    return {"ls": _ls, "new": _new, "test": _test, "quality": _quality}[session.args.what](session)


def _ls(session: Session) -> int:
    from gateway.sdk.judging import rows_apart

    found = rows_apart()
    if session.out.as_json:
        names = ("name", "distribution", "contract", "level", "trouble")
        session.out.result({"drivers": [{name: getattr(row, name) for name in names} for row in found]})
        return Exit.OK
    cells = [
        (row.name, row.distribution, str(row.contract or "-"), row.level or "-", row.trouble or "ok") for row in found
    ]
    styles = ["bad" if row.trouble else "" for row in found]
    session.out.table(("driver", "from", "contract", "level", "state"), cells, styles)
    return Exit.OK


def _new(session: Session) -> int:
    from gateway.sdk.newproject import write_project

    args = session.args
    written = write_project(args.name, Path(args.dir), push=args.push)
    root = next(path.parent for path in written if path.name == "pyproject.toml")
    if session.out.as_json:
        session.out.result({"project": str(root), "files": [str(path) for path in written]})
        return Exit.OK
    for path in written:
        session.out.line(str(path))
    session.out.line()
    session.out.line(f"next: cd {root} && pip install -e '.[dev]' && pytest && fieldpost driver test {args.name}")
    return Exit.OK


def _test(session: Session) -> int:
    from gateway.conformance import Result
    from gateway.conformance.checks import CHECKS
    from gateway.sdk.examine import Wish
    from gateway.sdk.judging import checks_apart

    args, out = session.args, session.out
    only = args.only or ()
    if unknown := sorted(set(only) - {check.name for check in CHECKS}):
        known = ", ".join(dict.fromkeys(check.name for check in CHECKS))
        raise CommandFailed(f"there is no check {unknown[0]}; there are {known}", Exit.USAGE)

    def told(result: Result) -> None:
        if out.as_json:
            return
        verdict = out.styled(f"{result.verdict.value:4}", _STYLE[result.verdict.value])
        out.line(f"{verdict}  {result.check:15} {result.title}" + (f" ({clean(result.why)})" if result.why else ""))
        for finding in result.findings:
            out.line(f"      - {clean(finding)}")

    wish = Wish(
        channel=Path(args.channel) if args.channel else None,
        unreachable=args.unreachable or "",
        writes=dict(_write(text) for text in args.write or ()),
        udp=args.udp,
        proxied=not args.no_proxy,
        only=only,
        patience_s=args.patience,
    )
    report = checks_apart(args.name, wish, told, debug=bool(session.option("debug")))
    if out.as_json:
        out.result(report.view())
    else:
        failed, skipped = len(report.failed), len(report.skipped)
        out.line()
        out.line(f"{args.name}: {len(report.results)} checks, {failed} failed, {skipped} not applicable")
    return Exit.FAILED if report.failed else Exit.OK


def _write(text: str) -> tuple[str, Value]:
    name, equals, raw = text.partition("=")
    if not equals or "." not in name:
        raise CommandFailed(f"{text!r} is not DEVICE.TAG=VALUE", Exit.USAGE)
    try:
        value: Any = json.loads(raw)
    except ValueError:
        value = raw
    return name, value


def _quality(session: Session) -> int:
    from gateway.sdk.quality import assess

    args, out = session.args, session.out
    report = assess(args.name, Path(args.dir or "."))
    if out.as_json:
        out.result(report.view())
        return Exit.OK if report.kept else Exit.FAILED
    rows = [(each.level, each.criterion, each.state, each.text) for each in report.results]
    out.table(("level", "criterion", "state", "why"), rows, [_STYLE.get(each.state, "") for each in report.results])
    out.line()
    out.line(report.summary)
    return Exit.OK if report.kept else Exit.FAILED
