"""proof."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.cli.output import clean
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.settings.types import GatewaySettings, TlsSettings, UplinkSettings

_MOST_HOLES = 20


class _Target(Struct, frozen=True):
    """Where to listen, for whom, as whom."""

    url: str
    tenant: str
    gateway: str | None
    username: str | None
    password: str | None
    tls: TlsSettings | None


def proof(session: Session) -> int:
    """Listen at the broker; exit 0 when every number is received or named by a gap record, else 1."""
    from gateway.proof import collect

    target = _target(session)
    if not session.out.as_json:
        session.out.line(f"listening at {clean(target.url)} for {session.args.lasting:g} s ...")
    try:
        report = asyncio.run(
            collect(
                target.url,
                target.tenant,
                target.gateway,
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


def _target(session: Session) -> _Target:
    """Options first; what is not given comes from the configuration, where there is one."""
    settings = _settings(session)
    url, uplink = session.option("url"), None
    if settings is not None:
        uplinks = [each for each in settings.uplinks if each.codec != "flat"]
        uplink = next((each for each in uplinks if url is None or url in each.urls), None)
    if url is None and uplink is None:
        raise CommandFailed("which broker? give --url mqtt://HOST:PORT, or a configuration with an uplink", Exit.USAGE)
    return _checked(
        url=url or _first_url(uplink),
        tenant=session.option("tenant") or (settings.tenant if settings else "default"),
        gateway=session.option("gateway") or (settings.id if settings else None),
        username=session.option("username") or (uplink.username if uplink else None),
        password=_password(session) or (uplink.password if uplink else None),
        tls=uplink.tls if uplink else _tls(session),
    )


def _checked(**words: Any) -> _Target:
    """Raises CommandFailed (usage) for what no broker and no gateway can be called."""
    from gateway.settings.ids import is_id
    from gateway.uplink.address import parse_address

    target = _Target(**words)
    try:
        parse_address(target.url)
    except ValueError as err:
        raise CommandFailed(f"--url: {err}", Exit.USAGE) from err
    for name, value in (("tenant", target.tenant), ("gateway", target.gateway)):
        if value is not None and not is_id(value):
            raise CommandFailed(f"--{name}: {value!r} is not an id (letters, digits, _ and -)", Exit.USAGE)
    return target


def _settings(session: Session) -> GatewaySettings | None:
    """The configuration, unless options say everything or there is none."""
    from gateway.cli.places import config_dir
    from gateway.settings.loader import load_tree

    if session.option("url") and session.option("gateway") and not session.option("config"):
        return None
    folder = config_dir(session.option("config"))
    return None if folder is None else load_tree(folder)


def _first_url(uplink: UplinkSettings | None) -> str:
    assert uplink is not None  # else there is a --url
    return uplink.urls[0]


def _tls(session: Session) -> TlsSettings | None:
    ca = session.option("ca")
    return TlsSettings(ca=Path(ca)) if ca else None


def _password(session: Session) -> str | None:
    file = session.option("password_file")
    return Path(file).read_text(encoding="utf-8").rstrip("\n") if file else None


def _print(session: Session, report: dict[str, Any]) -> None:
    rows = report["streams"]
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
