"""proof."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.cli.broker import broker_of, checked_id
from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session

_MOST_HOLES = 20


def proof(session: Session) -> int:
    """Listen at the broker; exit 0 when every number is received or named by a gap record, else 1."""
    from gateway.proof import collect

    wanted = session.option("gateway")
    target = broker_of(session, options_suffice=bool(wanted))
    gateway = checked_id("gateway", wanted) if wanted else target.gateway
    if not session.out.as_json:
        session.out.line(f"listening at {clean(target.url)} for {session.args.lasting:g} s ...")
    try:
        report = asyncio.run(
            collect(
                target.url,
                target.tenant,
                gateway,
                seconds=session.args.lasting,
                from_first=session.args.from_first,
                username=target.username,
                password=target.password,
                tls=target.tls,
            )
        )
    except (ConnectionError, PermissionError) as err:
        raise CommandFailed(str(err)) from err
    if session.out.as_json:
        session.out.result(report)
    else:
        _print(session, report)
    return Exit.OK if report["ok"] else Exit.FAILED


def _print(session: Session, report: dict[str, Any]) -> None:
    rows = report["streams"]
    for gateway, codec in report.get("unproved", {}).items():
        text = f"{clean(gateway)} sends codec {clean(codec)} here: that carries no numbers, and nothing can be proved"
        session.out.line(session.out.styled(text, "bad"))
    if not rows and "unproved" in report:
        return
    if not rows:
        session.out.line("nothing came: no gateway has published here, or the tenant or the gateway's id is another")
        return
    keys = ("gateway", "stream", "epoch", "from", "last", "received", "in_gaps", "duplicates")
    cells = [
        [*(str(row[key]) for key in keys), str(_count(row["missing"])), str(len(row["conflicts"]))] for row in rows
    ]
    styles = ["bad" if row["missing"] or row["conflicts"] or row["tail_unknown"] else "" for row in rows]
    numbers = [f">{key.replace('_', ' ')}" for key in keys[2:]]
    session.out.table(("gateway", "stream", *numbers, ">missing", ">conflicts"), cells, styles)
    for row in rows:
        holes = ", ".join(f"{first}..{last}" for first, last in row["missing"][:_MOST_HOLES])
        if holes:
            more = " ..." if len(row["missing"]) > _MOST_HOLES else ""
            session.out.line(
                session.out.styled(f"missing of {row['stream']}, epoch {row['epoch']}: {holes}{more}", "bad")
            )
        if row["tail_unknown"]:
            session.out.line(f"{row['stream']}, epoch {row['epoch']}: a store was lost, its tail can never be proved")
    if report["ok"]:
        session.out.line(session.out.styled("nothing is missing", "good"))
    elif any(row["missing"] and row["missing"][0][0] == 1 for row in rows) and not session.args.from_first:
        session.out.line("what was published before this began cannot be seen: --from-first leaves it out of account")


def _count(ranges: list[list[int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)
