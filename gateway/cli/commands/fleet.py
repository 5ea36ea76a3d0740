"""fleet: the operator's side, through any broker. Needs no running gateway on this machine."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from gateway.cli import fleet_tables as tables
from gateway.cli.broker import broker_of
from gateway.cli.commands.values import assignment
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.fleet import Fleet, FleetError, Result, SetResult
from gateway.fleet.document import HARD_BYTES, MAX_BYTES, checked_edits
from gateway.fleet.names import checked_id, shadow_path, tag_of

_MALFORMED = 400


def fleet(session: Session) -> int:
    """One action. Exit 1 when something was refused, failed, or did not come in time."""
    broker = broker_of(session, options_suffice=True)
    try:
        call = _ACTIONS[session.args.action](session)
        made = Fleet(
            broker.url,
            broker.tenant,
            username=broker.username,
            password=broker.password,
            tls=broker.tls,
            origin=_who(),
            timeout_s=session.args.timeout,
            max_document=_most(session),
        )
        return asyncio.run(_with(made, call))
    except FleetError as error:
        if error.code == _MALFORMED:
            raise CommandFailed(str(error), Exit.USAGE) from error
        raise
    except KeyboardInterrupt:
        if session.args.action in {"watch", "serve"}:  # how these end well
            return Exit.OK
        raise


_Call = Callable[[Fleet], Awaitable[int]]


async def _with(made: Fleet, call: _Call) -> int:
    async with made:
        return await call(made)


def _ls(session: Session) -> _Call:
    async def call(fleet: Fleet) -> int:
        found = await fleet.gateways()
        if session.out.as_json:
            session.out.result({"gateways": [msgspec.to_builtins(each) for each in found], "ignored": fleet.ignored})
        else:
            tables.gateways(session.out, found, fleet.ignored)
        return Exit.OK

    return call


def _show(session: Session) -> _Call:
    name = checked_id("gateway", session.args.gateway)

    async def call(fleet: Fleet) -> int:
        info = await fleet.gateway(name)
        devices = [] if info.devices is None else await fleet.devices(name)
        if session.out.as_json:
            session.out.result({"gateway": msgspec.to_builtins(info), "devices": msgspec.to_builtins(devices)})
        else:
            tables.gateway(session.out, info, devices)
        return Exit.OK

    return call


def _get(session: Session) -> _Call:
    """Exit 1 when the broker has neither side, or a tag is on none."""
    only = {shadow_path(tag) for tag in session.args.tag}
    gateway, device = _device(session)

    async def call(fleet: Fleet) -> int:
        shadow = await fleet.shadow(gateway, device)
        if session.out.as_json:
            session.out.result(tables.shadow_body(shadow, only))
        else:
            tables.shadow(session.out, shadow, only)
        there = shadow.desired is not None or shadow.reported is not None
        return Exit.OK if there and not tables.missing(shadow, only) else Exit.FAILED

    return call


def _set(session: Session) -> _Call:
    gateway, device = _device(session)
    values = checked_edits(_values(session, "TAG=VALUE"))
    options = {**_changing(session), "fresh": session.args.new, "tolerance": session.args.tolerance}

    async def call(fleet: Fleet) -> int:
        return _changed(session, await fleet.set(gateway, device, values, **options))

    return call


def _delete(session: Session) -> _Call:
    gateway, device = _device(session)
    tags = [shadow_path(tag) for tag in session.args.tag]

    async def call(fleet: Fleet) -> int:
        return _changed(session, await fleet.delete(gateway, device, tags, **_changing(session)))

    return call


def _adopt(session: Session) -> _Call:
    gateway, device = _device(session)
    tags = [shadow_path(tag) for tag in session.args.tag]

    async def call(fleet: Fleet) -> int:
        return _changed(session, await fleet.adopt(gateway, device, tags, **_changing(session)))

    return call


def _device(session: Session) -> tuple[str, str]:
    return checked_id("gateway", session.args.gateway), checked_id("device", session.args.device)


def _changing(session: Session) -> dict[str, Any]:
    return {"wait_s": session.args.wait, "if_ver": session.args.if_ver, "patch": session.args.patch}


def _most(session: Session) -> int:
    given: int | None = session.option("max_document")
    if given is not None and not 1 <= given <= HARD_BYTES:
        raise CommandFailed(f"--max-document {given}: 1 to {HARD_BYTES} bytes can be taken", Exit.USAGE)
    return MAX_BYTES if given is None else given


def _changed(session: Session, done: SetResult) -> int:
    """With --wait 0 nobody asked what became of it: that it is at the broker is enough."""
    unasked = session.args.wait == 0
    good = all(leaf.state == "ok" or (unasked and leaf.state == "pending") for leaf in done.leaves)
    if session.out.as_json:
        session.out.result({"ok": good, **msgspec.to_builtins(done)})
    else:
        tables.change(session.out, done)
    return Exit.OK if good else Exit.FAILED


def _read(session: Session) -> _Call:
    devices: dict[str, list[str]] = {}
    for name in session.args.tag:
        device, dot, tag = name.partition(".")
        devices.setdefault(device, []).extend([tag_of(shadow_path(tag))] if dot else [])
    device = _only(devices)
    return _ask(session, "read", device, {"tags": devices[device]} if devices[device] else {})


def _write(session: Session) -> _Call:
    devices: dict[str, dict[str, Any]] = {}
    for name, value in _values(session, "DEVICE.TAG=VALUE").items():
        device, dot, tag = name.partition(".")
        if not dot:
            raise CommandFailed(f"{name!r} names no tag: write DEVICE.TAG=VALUE", Exit.USAGE)
        devices.setdefault(device, {})[tag_of(shadow_path(tag))] = value
    device = _only(devices)
    return _ask(session, "write", device, {"values": devices[device]})


def _command(session: Session) -> _Call:
    args = session.args
    try:
        given = json.loads(args.args) if args.args else {}
    except ValueError as error:
        raise CommandFailed(f"--args: not JSON: {error}", Exit.USAGE) from error
    if not isinstance(given, dict):
        raise CommandFailed('--args: an object is wanted, for example {"for": 60000}', Exit.USAGE)
    return _ask(session, args.op, args.device, given)


def _ask(session: Session, op: str, device: str | None, args: dict[str, Any]) -> _Call:
    gateway, rid = checked_id("gateway", session.args.gateway), session.option("rid")
    for what, name in (("device", device), ("command", rid)):
        if name is not None:
            checked_id(what, name)

    async def call(fleet: Fleet) -> int:
        return _answered(
            session, await fleet.command(gateway, op, device, args, ttl_s=session.args.ttl, rid=rid), device
        )

    return call


def _answered(session: Session, result: Result, device: str | None) -> int:
    bad = any(str(item.get("quality", "")).startswith("bad") for item in result.items.values())
    good = result.ok and not bad
    if session.out.as_json:
        session.out.result({"ok": good, **msgspec.to_builtins(result)})
    else:
        tables.answer(session.out, result, device)
    return Exit.OK if good else Exit.FAILED


def _watch(session: Session) -> _Call:
    args = session.args
    for what, name in (("gateway", args.gateway), ("device", args.device)):
        if name is not None:
            checked_id(what, name)

    async def call(fleet: Fleet) -> int:
        changes = fleet.watch(args.gateway, args.device, telemetry=args.telemetry)
        with suppress(TimeoutError):
            async with asyncio.timeout(args.lasting), aclosing(changes):
                async for change in changes:
                    if session.out.as_json:
                        session.out.result(msgspec.to_builtins(change))
                    else:
                        tables.happened(session.out, change)
        return Exit.OK

    return call


def _jobs_of(session: Session, action: str) -> _Call:
    from gateway.cli.commands import deploy  # what looks and sets only does not need it

    call: _Call = getattr(deploy, action)(session)
    return call


def _values(session: Session, form: str) -> dict[str, Any]:
    pairs = [assignment(text) for text in session.args.assignment]
    values = dict(pairs)
    if len(values) < len(pairs):
        raise CommandFailed("a tag is given twice", Exit.USAGE)
    if (empty := next((name for name, value in pairs if value is None), None)) is not None:
        raise CommandFailed(f"{empty}=null: {form} takes a value; `fleet delete` takes a tag out", Exit.USAGE)
    return values


def _only(devices: dict[str, Any]) -> str:
    if len(devices) > 1:
        raise CommandFailed(f"a command is for one device, not for {', '.join(sorted(devices))}", Exit.USAGE)
    return next(iter(devices))


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "fleet"


_ACTIONS: dict[str, Callable[[Session], _Call]] = {
    "ls": _ls,
    "show": _show,
    "get": _get,
    "set": _set,
    "delete": _delete,
    "adopt": _adopt,
    "read": _read,
    "write": _write,
    "command": _command,
    "watch": _watch,
    "deploy": lambda session: _jobs_of(session, "deploy"),
    "jobs": lambda session: _jobs_of(session, "jobs"),
    "cancel": lambda session: _jobs_of(session, "cancel"),
    "serve": lambda session: _jobs_of(session, "serve"),
}
