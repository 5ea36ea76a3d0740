"""add opcua, mqtt, ble, system: what each protocol needs for a device, asked of the running gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.cli.commands.add import copy_profile, put, say
from gateway.cli.commands.field import collect
from gateway.cli.commands.scanning import ble_target, latest, show
from gateway.cli.editing import Changes, finish
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.target import url_target
from gateway.local.wire import NotRunning, OpError
from gateway.settings.ids import is_id
from gateway.watching import device_id

LISTEN_S = 5.0
_SAY_NOTHING = frozenset(
    ("data", "sensor", "sensors", "stat", "state", "status", "tele", "telemetry", "value", "values")
)
"""Levels of topics that name no device."""


def add_other(session: Session) -> int:
    """A device of a protocol that is not Modbus."""
    protocol = session.args.protocol
    changes = Changes(session.config_dir)
    target, name, keys = {"opcua": _opcua, "mqtt": _mqtt, "ble": _ble, "system": _system}[protocol](session, changes)
    name = session.option("name") or name
    if not is_id(name):
        raise CommandFailed(f"{name!r} is not an id for a device", Exit.USAGE)
    profile = session.option("profile") or keys.pop("profile", None)
    if profile:
        copy_profile(changes, protocol, profile)
        keys.pop("tags", None)
        keys["profile"] = profile
    put(session, changes, target, name, {**keys, **({} if profile or "tags" in keys else {"tags": {}})})
    finish(session, changes)
    return Exit.OK


_NOT_THERE = 404
Found = tuple[dict[str, Any], str, dict[str, Any]]


def _needed(session: Session, what: str) -> str:
    if not session.option("target"):
        raise CommandFailed(f"add {session.args.protocol} takes {what}", Exit.USAGE)
    return str(session.args.target)


def _opcua(session: Session, _changes: Changes) -> Found:
    target = url_target("opcua", _needed(session, "the url of a server"))
    _look(session, {"driver": "opcua", **target, "options": {}})
    say(session, "next: fieldpost browse, with --add and --pick")
    return target, "server", {}


def _mqtt(session: Session, _changes: Changes) -> Found:
    """Tags are made of what the topic brings while the gateway listens."""
    target = url_target("mqtt", _needed(session, "the url of a broker"))
    topic = session.option("topic")
    if topic is None:
        raise CommandFailed("add mqtt needs --topic: `fieldpost scan mqtt` shows which there are", Exit.USAGE)
    options = {"topics": [topic], "for": session.option("lasting") or LISTEN_S}
    found = [row for row in _look(session, {"driver": "mqtt", **target, "options": options}) if row.get("tags")]
    levels = [part for part in topic.split("/") if part not in ("#", "+", "")]
    level = next((part for part in reversed(levels) if part.lower() not in _SAY_NOTHING), (levels or ["device"])[-1])
    keys: dict[str, Any] = {"topic": topic}
    if found:
        form = str(found[0].get("format", "json"))
        keys |= {"format": form} if form != "json" else {}
        keys["tags"] = found[0]["tags"]
    return target, device_id(level, ()), keys


def _ble(session: Session, changes: Changes) -> Found:
    """Keys and tags are those that the device is known by, when it is heard."""
    address = _needed(session, "the address of a device")
    target = ble_target(changes.settings().channels, session.option("channel"), "")
    options = {"name": address, "seconds": session.option("lasting") or 2 * LISTEN_S}
    rows = _look(session, {"driver": "ble", **target, "options": options})
    row = next((each for each in rows if str(each.get("address", "")).lower() == address.lower()), None)
    if row is None:
        return target, device_id(address, ()), {"address": address}
    keys: dict[str, Any] = {"address": row["address"], **(row.get("keys") or {})}
    if row.get("profile"):
        keys["profile"] = row["profile"]
    elif row.get("tags"):
        keys["tags"] = row["tags"]
    return target, device_id(str(row.get("name") or address), ()), keys


def _system(_session: Session, changes: Changes) -> Found:
    held = next((each for each in changes.settings().channels if each.driver == "system"), None)
    target: dict[str, Any] = {"channel": held.id} if held is not None else {"settings": {}}
    return target, "gateway", {"profile": "gateway"}


def _look(session: Session, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a scan of the running gateway finds; nothing when it cannot, and why."""
    try:
        findings = latest(session.args.protocol, collect(session, dict(asked)))
    except NotRunning:
        say(session, "no gateway is running: nothing was asked")
        return []
    except OpError as error:
        if error.code == _NOT_THERE and "channel" in asked:  # it is in the folder only
            text = f"the running gateway has no channel {asked['channel']} yet: fieldpost apply first, then add this"
            raise CommandFailed(f"{text}; nothing is written") from error
        say(session, f"not reached: {error}")
        return []
    if not session.out.as_json:
        show(session, session.args.protocol, findings)
    return findings
