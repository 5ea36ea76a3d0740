"""What EdgeX calls a tag's things: device, profile, source, resource, value type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from gateway.edgexevents.kinds import kind_of
from gateway.edgexevents.names import COMMAND_NAME, name_of
from gateway.journal import AliasRow
from gateway.model import DeviceSpec, TagSpec


class Resource(Struct, frozen=True):
    """A tag for EdgeX. `device_id`: ours. `kind`: its value type, empty for a tag that is not configured any more:
    then each value says its own. `strict`: its overflows and NaN are told as EdgeX tells them (key `strict_edgex`).
    """

    device_id: str
    device: str
    profile: str
    source: str
    resource: str
    kind: str = ""
    units: str = ""
    media: str = ""
    strict: bool = False
    local: bool = False
    """It never leaves the gateway."""


def resources_of(device: DeviceSpec) -> dict[str, Resource]:
    """All tags of a device by path."""
    about = dict(device.meta)
    name = _named(about.get("name", ""), device.id)
    profile = _named(about.get("profile_name", ""), device.profile or device.id)
    sources = _Sources(device)
    found = {}
    for spec in device.tags:
        meta = dict(spec.meta)
        found[spec.path] = Resource(
            device_id=device.id,
            device=name,
            profile=profile,
            source=sources.of(spec),
            resource=_resource_name(spec),
            kind=kind_of(spec, meta),
            units=spec.unit,
            media=meta.get("mediaType", ""),
            strict=spec.transform.edgex is not None,
            local=spec.local,
        )
    return found


def by_alias(rows: Iterable[AliasRow], device: Mapping[str, DeviceSpec]) -> dict[int, Resource]:
    """Every tag that the journal may hold, by its alias."""
    known: dict[str, dict[str, Resource]] = {}
    found = {}
    for row in rows:
        if row.device not in known:
            known[row.device] = resources_of(device[row.device]) if row.device in device else {}
        resource = known[row.device].get(row.tag)
        if resource is None:
            resource = _gone(row, device.get(row.device))
        found[row.alias] = resource
    return found


def _gone(row: AliasRow, device: DeviceSpec | None) -> Resource:
    """A tag that was removed; its readings may still wait in the journal."""
    about = dict(device.meta) if device is not None else {}
    name = _named(about.get("name", ""), row.device)
    profile = _named(about.get("profile_name", ""), (device.profile if device is not None else "") or row.device)
    resource = name_of(row.tag)
    return Resource(row.device, name, profile, resource, resource)


class _Sources:
    """What a reading of a device is asked by: its poll group; a tag without one by itself. A group that has exactly the
    tags of a named command goes by that command's name, one that is called as its only tag by that tag's, and each of
    these by the name that an import kept.
    """

    def __init__(self, device: DeviceSpec) -> None:
        groups: dict[str, set[str]] = {}
        about = dict(device.meta)
        alone: dict[str, str] = {}
        for spec in device.tags:
            if spec.group:
                groups.setdefault(spec.group, set()).add(spec.path)
                if spec.group == spec.path:
                    alone[spec.path] = dict(spec.meta).get("name", "")
        commands: Counter[frozenset[str]] = Counter()
        names: dict[frozenset[str], str] = {}
        for command in device.commands:
            paths = frozenset(item.path for item in command.items)
            commands[paths] += 1
            names[paths] = command.name
        self._names = {}
        for group, members in groups.items():
            same = frozenset(members)
            name = names[same] if commands[same] == 1 else group
            kept = about.get(f"{COMMAND_NAME}{name}", "") or (alone.get(name, "") if members == {name} else "")
            self._names[group] = _named(kept, name)

    def of(self, spec: TagSpec) -> str:
        return self._names[spec.group] if spec.group else _resource_name(spec)


def _resource_name(spec: TagSpec) -> str:
    return _named(dict(spec.meta).get("name", ""), spec.path)


def _named(imported: str, ours: str) -> str:
    """The name that an import kept, else ours."""
    return name_of(imported if imported.strip() else ours)
