"""export and import of tag lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gateway.cli.commands.add import data_of, devices_of, document_of, groups_of
from gateway.cli.commands.servermap import server_map
from gateway.cli.editing import Changes, finish
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.cli.splicing import Merge, Removed
from gateway.cli.tagcells import SCALAR, Written, kinds_of, literal
from gateway.cli.taglist import (
    COMPUTED,
    FIRST,
    Row,
    columns_of,
    decoded,
    from_csv,
    needed,
    rows_of,
    strangers,
    to_csv,
    value_of,
)
from gateway.cli.tagsfromjson import from_json
from gateway.cli.writing import write_all
from gateway.errors import ConfigError, GatewayError, Problem
from gateway.registry import Registry
from gateway.settings.types import GatewaySettings

_TAG_PATH = re.compile(r"devices\.(?P<device>[^.]+)\.tags\.(?P<tag>[^.\[]+)(?:\.(?P<key>[^.\[]+))?")
MOST_BYTES = 50_000_000
_RANGE = ("range_low", "range_high")
Wanted = tuple[str, str, dict[str, Any] | None]
"""Device, tag, and its keys: None removes a key, no keys at all the tag."""
Edits = dict[tuple[str, int], list[Wanted]]
"""By file and document."""


def export(session: Session) -> int:
    """The tags of the configuration folder as CSV, or the map of a server."""
    if session.option("server"):
        return server_map(session)
    changes = Changes(session.config_dir)
    settings = changes.settings()
    devices = list(session.args.device)
    unknown = set(devices) - {device.id for channel in settings.channels for device in channel.devices}
    if unknown:
        raise CommandFailed(f"there is no device {', '.join(sorted(unknown))}")
    rows = list(rows_of(settings, _written(changes, settings), devices))
    if session.out.as_json:
        session.out.result({"tags": rows})
        return Exit.OK
    text = to_csv(needed(columns_of(settings, Registry().load), rows), rows)
    if session.option("output"):
        write_all({Path(session.args.output): text.encode()})
        session.out.line(f"{len(rows)} tags in {session.args.output}")
    else:
        session.out.line(text.rstrip("\n"))
    return Exit.OK


def import_list(session: Session, name: str, raw: bytes) -> int:
    """Changes that a list of our own makes, as a diff; --write writes them. Raises ConfigError."""
    if len(raw) > MOST_BYTES:
        raise CommandFailed(f"{name} is larger than {MOST_BYTES} bytes")
    changes = Changes(session.config_dir)
    settings = changes.settings()
    problems: list[Problem] = []
    columns = columns_of(settings, Registry().load)
    devices = {device.id for channel in settings.channels for device in channel.devices}
    if raw.lstrip()[:1] == b"{":
        rows = from_json(name, raw, columns, problems)
    else:
        text = decoded(name, raw)
        rows = from_csv(name, text, columns, problems)
        # columns that nobody here knows may be those of a driver that no device here has
        if not rows and (strange := strangers(text, devices, columns)):
            problems = [Problem(name, line, 1, "", _no_device(device)) for device, line in strange.items()]
    known = {(row["device"], row["tag"]): row for row in rows_of(settings, _written(changes, settings))}
    places = _Places(changes, settings)
    edits = _edits(name, rows, known, places, problems)
    if session.option("prune"):
        if not any(column in row.cells for row in rows for column in COMPUTED):
            computed = _computed(settings)  # the list has no columns for them
            known = {key: row for key, row in known.items() if key not in computed}
        _prune(rows, known, places, edits, problems, name)
    here = {row.key: row for row in rows}
    if problems:
        problems += _further(changes, edits)
        raise ConfigError(sorted((_in_list(name, here, each) for each in problems), key=_position))
    _apply(changes, edits)
    try:
        finish(session, changes)
    except ConfigError as error:
        found = [_in_list(name, here, problem) for problem in error.problems]
        raise ConfigError(sorted(found, key=_position)) from None
    return Exit.OK


def _edits(
    name: str, rows: list[Row], known: Mapping[Any, dict[str, str]], places: _Places, problems: list[Problem]
) -> Edits:
    """What the rows change, by place. What cannot be changed goes to `problems`."""
    edits: Edits = {}
    for row in rows:
        changed = _changed(row, known.get(row.key), places.kinds(row.key[0]))
        problems += _half_range(name, row, known.get(row.key))
        if not changed and row.key in known:
            continue
        place = places.of(row.key[0])
        if isinstance(place, str):
            problems.append(Problem(name, row.line, 1, "", place))
            continue
        problems += _inherited(name, row, changed, places.written(*row.key))
        edits.setdefault(place, []).append((*row.key, changed))
    return edits


def _apply(changes: Changes, edits: Edits) -> None:
    for (file, document), wanted in edits.items():
        changes.edit(file, _merge(wanted), document)


def _further(changes: Changes, edits: Edits) -> list[Problem]:
    """What the configuration would say of the other rows: all that is wrong is told at once."""
    try:
        _apply(changes, edits)
        changes.settings()
    except ConfigError as error:
        return error.problems
    except GatewayError:  # told when the list is right
        return []
    return []


def _position(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


def _written(changes: Changes, settings: GatewaySettings) -> dict[str, Written]:
    """What each channel's file says for its tags."""
    found = {}
    for channel in settings.channels:
        place = document_of(changes, channel.id)
        defaults = data_of(changes, *place).get("defaults") if place is not None else None
        found[channel.id] = Written(groups_of(changes, channel.id), defaults if isinstance(defaults, dict) else {})
    return found


def _inherited(name: str, row: Row, changed: dict[str, Any], own: Mapping[str, Any]) -> list[Problem]:
    """Cells that were emptied although the key is not the device's own."""
    emptied = [key for key, value in changed.items() if value is None and key not in own]
    text = "`{}` comes from a profile or from defaults and cannot be emptied here"
    return [Problem(name, row.line, row.column(key), "", text.format(key)) for key in emptied]


def _half_range(name: str, row: Row, known: dict[str, str] | None) -> list[Problem]:
    span = _span(row, known)
    if all(span) or not any(span):
        return []
    empty, given = _RANGE if span[1] else _RANGE[::-1]
    return [Problem(name, row.line, row.column(given), "", f"`{given}` needs `{empty}` too")]


def _in_list(name: str, rows: Mapping[tuple[str, str], Row], problem: Problem) -> Problem:
    """A fault of a tag that the list has, at its cell."""
    match = _TAG_PATH.match(problem.path)
    row = rows.get((match["device"], match["tag"])) if match else None
    if match is None or row is None:
        return problem
    return replace(problem, file=name, line=row.line, column=row.column(match["key"] or "tag"))


def _no_device(device: str) -> str:
    return f"there is no device {device[:80]}: `fieldpost add` makes one"


class _Places:
    """Where each device is written."""

    def __init__(self, changes: Changes, settings: GatewaySettings) -> None:
        self._changes = changes
        self._channels = {device.id: channel.id for channel in settings.channels for device in channel.devices}
        drivers = {device.id: channel.driver for channel in settings.channels for device in channel.devices}
        loaded = {driver: kinds_of(Registry().load(driver).tag) for driver in set(drivers.values())}
        self._kinds = {device: loaded[driver] for device, driver in drivers.items()}
        self._files: dict[str, tuple[str, int] | None] = {}
        self._literal: dict[tuple[str, int], dict[str, Any]] = {}

    def of(self, device: str) -> tuple[str, int] | str:
        """File and document, or why the device cannot be changed by a list."""
        channel = self._channels.get(device)
        if channel is None:
            return _no_device(device)
        if channel not in self._files:  # finding it parses the file, and a list has many rows
            self._files[channel] = document_of(self._changes, channel)
        place = self._files[channel]
        if place is None:
            return f"the file of channel {channel} was not found"
        if place not in self._literal:
            self._literal[place] = devices_of(self._changes, *place)
        if device not in self._literal[place]:
            return f"{device} is one of a range: change its profile, or write it out in {place[0]}"
        return place

    def kinds(self, device: str) -> Mapping[str, str]:
        """The kinds of the columns that are the device's driver's."""
        return self._kinds.get(device, {})

    def written(self, device: str, tag: str) -> Mapping[str, Any]:
        """A tag's keys as they are written in its device itself."""
        place = self.of(device)
        entry = self._literal[place].get(device) if not isinstance(place, str) else None
        return ((entry or {}).get("tags") or {}).get(tag) or {}


def _changed(row: Row, known: dict[str, str] | None, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Keys that the row gives another value than the configuration has. None removes a key."""
    cells = {column: cell for column, cell in row.cells.items() if column not in {*FIRST, *_RANGE}}
    before = known or {}
    changed: dict[str, Any] = {
        column: literal(value_of(cell, column, kinds.get(column, SCALAR)), column) if cell else None
        for column, cell in cells.items()
        if not _same(column, cell, before.get(column, ""), kinds.get(column, SCALAR))
    }
    span = _span(row, known)
    half = any(span) and not all(span)  # is told as such
    if not half and any(not _same(name, span[i], before.get(name, "")) for i, name in enumerate(_RANGE)):
        changed["range"] = [value_of(cell) for cell in span] if all(span) else None
    return changed


def _span(row: Row, known: dict[str, str] | None) -> list[str]:
    return [row.cells.get(name, (known or {}).get(name, "")) for name in _RANGE]


def _same(column: str, cell: str, known: str, kind: str = SCALAR) -> bool:
    if cell == known or cell == known.strip() or (not cell and known == "false"):
        return True
    return bool(cell) and bool(known) and value_of(cell, column, kind) == value_of(known, column, kind)


def _computed(settings: GatewaySettings) -> set[tuple[str, str]]:
    """Device and path of every tag without an address."""
    devices = (device for channel in settings.channels for device in channel.devices)
    return {(device.id, tag.path) for device in devices for tag in device.tags if tag.virtual is not None}


def _prune(rows: list[Row], known: Any, places: _Places, edits: Any, problems: list[Problem], name: str) -> None:
    """Tags that the list leaves out go, of the devices that it names; those of a profile cannot."""
    wanted = {row.key for row in rows}
    devices = {device for device, _ in wanted}
    for device, tag in known:
        if device not in devices or (device, tag) in wanted:
            continue
        place = places.of(device)
        if isinstance(place, str):
            problems.append(Problem(name, 0, 0, "", place))
        elif not places.written(device, tag):
            text = f"{device}.{tag} comes from a profile and cannot be removed here"
            problems.append(Problem(name, 0, 0, "", text))
        else:
            edits.setdefault(place, []).append((device, tag, None))


def _merge(wanted: list[Wanted]) -> Merge:
    """The changes of a document."""
    devices = Merge()
    for device, tag, keys in wanted:
        tags = devices.setdefault(device, Merge(tags=Merge()))["tags"]
        if keys is None:
            tags[tag] = Removed
        else:
            tags[tag] = Merge({key: Removed if value is None else value for key, value in keys.items()})
    return Merge(devices=devices)
