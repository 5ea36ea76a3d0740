"""add: a device into the configuration, into the channel of its wire or a new one."""

from __future__ import annotations

import re
from typing import Any

from gateway.cli.commands.field import collect, show_findings
from gateway.cli.editing import Changes, finish
from gateway.cli.profiletests.sources import library
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.splicing import Merge, block
from gateway.cli.target import holder_of, same_line, target_of
from gateway.library import defines
from gateway.local.wire import NotRunning, OpError
from gateway.model import ChannelSpec, Schedule
from gateway.settings.ids import is_id
from gateway.settings.positions import Document, Layers, Origin, Problems
from gateway.settings.yaml_reader import read_documents

_NEW = """\
driver: {driver}
{where}{interval}devices:
{device}
"""


def add(session: Session) -> int:
    """Show the change, or write it; a running gateway is asked whether the device answers."""
    args = session.args
    refuse_foreign(session)
    if args.protocol != "modbus":
        from gateway.cli.commands.addothers import add_other

        return add_other(session)
    if not session.option("target"):
        raise CommandFailed("add modbus takes a channel, a host or a serial port", Exit.USAGE)
    name = args.name or f"unit{args.unit}"
    if not is_id(name):
        raise CommandFailed(f"{name!r} is not an id for a device", Exit.USAGE)
    target = target_of(args.protocol, args.target, session.option("line"))
    _look(session, target)
    changes = Changes(session.config_dir)
    put_device(session, changes, target, name, args.profile)
    finish(session, changes)
    return Exit.OK


def put_device(session: Session, changes: Changes, target: dict[str, Any], name: str, profile: str | None) -> None:
    """A device of `profile`, or without tags, into the channel that holds the wire, or into a new one."""
    args = session.args
    if profile is not None:
        copy_profile(changes, args.protocol, profile)
    put(session, changes, target, name, {"unit_id": args.unit, **({"profile": profile} if profile else {"tags": {}})})


_OWN = {"modbus": {"unit", "line"}, "mqtt": {"topic", "lasting"}, "ble": {"lasting"}}


def refuse_foreign(session: Session) -> None:
    """Raises CommandFailed (usage) for options of another protocol: they would be ignored."""
    own = _OWN.get(session.args.protocol, set())
    for option, words in (("unit", "--unit"), ("line", "--line"), ("topic", "--topic"), ("lasting", "--for")):
        if option not in own and session.option(option) is not None:
            raise CommandFailed(f"{words} is not of add {session.args.protocol}", Exit.USAGE)
    if session.args.protocol == "modbus" and session.option("unit") is None:
        session.args.unit = 1


def put(session: Session, changes: Changes, target: dict[str, Any], name: str, keys: dict[str, Any]) -> None:
    """A device with these keys into the channel that a target is, or into a new one."""
    args = session.args
    channels = changes.settings().channels
    held = holder_of(channels, args.protocol, target)
    if held is not None:
        _only_of_new_channels(session, held)
        if "unit_id" in keys:
            changes.notes += _same_unit(held, name, keys["unit_id"])
        file, document = _place(changes, held)
        written = devices_of(changes, file, document)
        if name not in written:
            changes.edit(file, Merge(devices=Merge({name: keys})), document)
        elif written[name] != keys:  # the same once more changes nothing
            raise CommandFailed(f"{file} has another device {name} already")
        return
    if "channel" in target:
        raise CommandFailed(f"there is no channel {target['channel']} in {changes.folder}")
    channel = session.option("channel") or _channel_name(target["settings"], args.protocol)
    if session.option("channel") and any(each.id == channel for each in channels):
        raise CommandFailed(f"there is a channel {channel} already, with another wire", Exit.USAGE)
    changes.add(
        f"channels/{channel}.yaml",
        _NEW.format(
            driver=args.protocol,
            where=_where(target["settings"]),
            interval=_interval(session),
            device="\n".join(block(name, keys, 2, 2)),  # lines, so that tags can be added and reviewed
        ),
    )


def _look(session: Session, target: dict[str, Any]) -> None:
    """Ask the running gateway whether the unit is there; say what was found."""
    options = {"units": str(session.args.unit), "ranges": [], "timeout_s": 1.0}
    try:
        findings = collect(session, {"driver": session.args.protocol, **target, "options": options})
    except NotRunning:
        say(session, "no gateway is running: nothing was asked of the device")
        return
    except OpError as error:
        say(session, f"not reached: {error}")
        return
    if not session.out.as_json:
        show_findings(session, findings)


def say(session: Session, text: str) -> None:
    if not session.out.as_json:
        session.out.line(text)


def copy_profile(changes: Changes, driver: str, profile: str) -> None:
    """A profile of the library is copied, unless the folder has one of that name."""
    if any(file.startswith("profiles/") and defines(text, profile) for file, text in changes.after.items()):
        return
    source = next((each for each in library([driver]) if each.name == profile), None)
    if source is None:
        raise CommandFailed(f"there is no profile {profile}: `fieldpost profiles` lists the library", Exit.USAGE)
    for file, text in source.files.items():  # with what it extends
        if file not in changes.after:
            changes.add(file, text.decode())


def _only_of_new_channels(session: Session, held: ChannelSpec) -> None:
    """Raises CommandFailed (usage) for options that a channel which is there would ignore."""
    same_line(held, session.option("line"))
    name = session.option("channel")
    if name is not None and name != held.id:
        raise CommandFailed(f"channel {held.id} has this wire already: leave --channel out", Exit.USAGE)
    if session.option("interval") is not None:
        raise CommandFailed(f"--interval is of a new channel, and {held.id} is there: leave it out", Exit.USAGE)


def _same_unit(held: ChannelSpec, name: str, unit: int) -> list[str]:
    """What to say where another device has the unit id: allowed, and seldom meant."""
    others = [each.id for each in held.devices if each.id != name and getattr(each.settings, "unit_id", None) == unit]
    return [f"note: unit {unit} of channel {held.id} is device {', '.join(others)} already"] if others else []


def _place(changes: Changes, held: ChannelSpec) -> tuple[str, int]:
    place = document_of(changes, held.id)
    if place is None:
        raise CommandFailed(f"the file of channel {held.id} was not found in {changes.folder}")
    return place


def document_of(changes: Changes, channel: str) -> tuple[str, int] | None:
    """File and number of the document in which a channel is written."""
    for file, text in changes.after.items():
        if not file.startswith("channels/"):
            continue
        documents = [each for each in read_documents(file, text, Problems()) if each.data is not None]
        for number, document in enumerate(documents):
            own = document.data.get("channel") if isinstance(document.data, dict) else None
            if own == channel or (own is None and file == f"channels/{channel}.yaml"):
                return file, number
    return None


def counts_from_one(changes: Changes, driver: str, target: dict[str, Any]) -> bool:
    """Whether the channel that holds the wire says so of its addresses."""
    held = holder_of(changes.settings().channels, driver, target)
    data = _document(changes, *_place(changes, held)).data if held is not None else {}
    return bool(data.get("address_base", (data.get("defaults") or {}).get("address_base")))


def _document(changes: Changes, file: str, number: int) -> Document:

    return [each for each in read_documents(file, changes.after[file], Problems()) if each.data is not None][number]


def data_of(changes: Changes, file: str, document: int) -> dict[str, Any]:
    """A document as it is written."""
    found = _document(changes, file, document).data
    return found if isinstance(found, dict) else {}


def devices_of(changes: Changes, file: str, document: int) -> dict[str, Any]:
    """The devices as they are written in a document."""
    found = data_of(changes, file, document).get("devices")
    return found if isinstance(found, dict) else {}


def groups_of(changes: Changes, channel: str) -> dict[str, Schedule]:
    """The poll groups that are written in a channel."""
    from gateway.settings.periods import read_groups

    place = document_of(changes, channel)
    if place is None:
        return {}
    document = _document(changes, *place)
    found: dict[str, Schedule] = {}
    for name, value in (document.data.get("groups") or {}).items():
        problems = Problems()
        schedule = read_groups({name: value}, Layers(document.data, Origin(document)), problems)[name]
        if not len(problems):
            found[name] = schedule
    return found


_INTERVALS = {"modbus": "1s", "opcua": "1s", "system": "10s"}
"""Of a new channel; what a device sends by itself is taken when it comes."""


def _interval(session: Session) -> str:
    interval = session.option("interval") or _INTERVALS.get(session.args.protocol)
    return f"interval: {interval}\n" if interval else ""


def _channel_name(settings: dict[str, Any], driver: str) -> str:
    """A name for a channel of a wire."""
    serial = settings.get("serial") or {}
    text = settings.get("url") or serial.get("port", "").rpartition("/")[2] or settings.get("adapter") or driver
    return re.sub(r"[^A-Za-z0-9]+", "-", re.sub(r"^[a-z+]+://", "", text)).strip("-")[:40] or "line"


def _where(settings: dict[str, Any]) -> str:
    """The settings of a wire, a line each."""
    return "".join(f"{key}: {_flow(value)}\n" for key, value in settings.items())


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    return str(value)
