"""profiles record: a case made of what a device says right now, and of what its profile makes of it.

The case passes by construction. It becomes worth something when a person has compared it with the device's display.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.cli.profiletests.loading import channel_of, rehearsal_of
from gateway.cli.profiletests.sources import Source, configured, read_quietly
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.splicing import block
from gateway.cli.writing import write_all
from gateway.driver import Frame
from gateway.model import ChannelSpec, Quality, ValueType
from gateway.registry import Registry
from gateway.rehearsal import Played
from gateway.settings.ids import did_you_mean
from gateway.settings.templates import TemplateError, expand_name, fill
from gateway.settings.tree import CASES, read_tree

_LISTEN_S = 10.0
_HEAD = """\
# Recorded from a device. Compare each value with its display; remove what is yours: serial numbers, addresses, names.
"""


class _Device(Struct, frozen=True):
    """A device as it is written: the driver of its channel, its profile, its parameters with the range's number in."""

    driver: str
    profile: str
    params: dict[str, Any]


def record(session: Session, device: str) -> int:
    """Print the file of cases, or write it beside the profile."""
    folder = session.config_dir
    written = _find(folder, device)
    source = next((each for each in configured(folder) if each.name == written.profile), None)
    if source is None:
        raise CommandFailed(f"the profile {written.profile} of {device} was not found in {folder}")
    given, played, channel = _recorded(session, device, written, source)
    case = {
        "source": "recorded",
        **({"device": {"params": written.params}} if written.params else {}),
        "given": given,
        "expect": expected(channel, played),
    }
    name = f"recorded {dt.datetime.now(dt.UTC).date().isoformat()}"
    text = _HEAD + os.linesep.join(block("cases", {name: case}, 0, 0)) + os.linesep
    path = folder / "profiles" / f"{source.name}{CASES}"
    if session.option("write"):
        if path.exists():
            raise CommandFailed(f"{path} exists already: leave --write out, and put the new case into it")
        write_all({path: text.encode()})
    if session.out.as_json:
        session.out.result({"profile": source.name, "text": text, "written": bool(session.option("write"))})
        return Exit.OK
    session.out.line(text.rstrip(os.linesep))
    if session.option("write"):
        session.out.line(f"written; next: compare it with the display, then fieldpost profiles test {source.name}")
    return Exit.OK


def _find(folder: Path, device: str) -> _Device:
    """Raises CommandFailed where there is no such device, or it has no profile."""
    seen: list[str] = []
    for file, raw in read_tree(folder).items():
        if not file.startswith("channels/"):
            continue
        for document in read_quietly(file, bytes(raw)):
            data = document.data if isinstance(document.data, dict) else {}
            devices = data.get("devices")
            for key, keys in (devices if isinstance(devices, dict) else {}).items():
                for name, number in _names(key):
                    seen.append(name)
                    if name == device:
                        return _written(device, data, keys, number)
    raise CommandFailed(f"there is no device {device} in {folder}; {did_you_mean(device, seen)}".rstrip("; "))


def _names(key: str) -> list[tuple[str, int | None]]:
    try:
        return expand_name(key)
    except TemplateError:
        return []  # `check` says what is wrong with it


def _written(device: str, channel: Mapping[str, Any], keys: Any, number: int | None) -> _Device:
    profile = keys.get("profile") if isinstance(keys, dict) else None
    if not isinstance(profile, str):
        raise CommandFailed(f"{device} has no profile: give it one, then record")
    params = keys.get("params")
    scope = {} if number is None else {"n": number}
    filled = {
        name: fill(value, scope, set()) if isinstance(value, str) and scope else value
        for name, value in (params if isinstance(params, dict) else {}).items()
    }
    return _Device(str(channel.get("driver")), profile, filled)


def _recorded(
    session: Session, device: str, written: _Device, source: Source
) -> tuple[dict[str, Any], Played, ChannelSpec]:
    """What the device says, and what its profile makes of it. Raises NotRunning, OpError, CommandFailed."""
    spec = Registry().load(written.driver)
    rehearsal = rehearsal_of(spec)
    if rehearsal is None or rehearsal.recall is None:
        raise CommandFailed(f"the driver {written.driver} records no cases")
    channel = channel_of(source, spec, {"params": written.params} if written.params else {})
    lasting = session.option("lasting") or _LISTEN_S
    with session.client(lasting + 30.0) as client:
        rows = list(client.stream("trace", {"name": device, "for_s": lasting}))
    frames = [
        Frame(row["ts"], row["direction"] == "sent", bytes.fromhex(row["hex"]), row["text"], row["unit"])
        for row in rows
        if "hex" in row
    ]
    given = dict(rehearsal.recall(channel, device, frames))
    if not given:
        raise CommandFailed(f"{device} said nothing for its tags in {lasting:g} s: listen longer, with --for")
    return given, rehearsal.play(channel, given), channel


def expected(channel: ChannelSpec, played: Played) -> dict[str, Any]:
    """Values as a case writes them."""
    types = {spec.path: spec.type for spec in channel.devices[0].tags}
    found: dict[str, Any] = {}
    for path, (value, code) in played.values.items():
        shown: Any = value
        if isinstance(value, bytes):
            shown = {"hex": value.hex()}
        elif isinstance(value, str) and types[path] is ValueType.OBJECT:
            shown = json.loads(value)
        if code != Quality.GOOD:
            shown = (
                {"quality": Quality(code).text} if value is None else {"value": shown, "quality": Quality(code).text}
            )
        found[path] = shown
    return found
