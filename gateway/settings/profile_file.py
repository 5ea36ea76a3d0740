"""profiles/*.yaml: kinds of devices. A profile is checked where it is read; its tags are made by each channel."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.settings import reserved
from gateway.settings.command_keys import read_command
from gateway.settings.convert import fields_of, show, to_struct
from gateway.settings.ids import ID_RULE, did_you_mean, is_id, suggest_id, tag_path_fault
from gateway.settings.keys import ProfileKeys
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.reserved import later
from gateway.settings.sections import mapping_at
from gateway.settings.templates import has_braces, parameter_fault

MAX_EXTENDS = 8


class Profile(Struct, frozen=True, eq=False):
    """A profile with what it extends laid below it. `own` are keys for the driver's device settings.

    `interval`: seconds, a text with parameters, or None.
    """

    name: str
    origin: Origin
    keys: ProfileKeys
    params: dict[str, Any]
    meta: dict[str, Any]
    interval: Any
    conflict: str | None
    own: tuple[tuple[dict[str, Any], Origin], ...]
    defaults: tuple[tuple[dict[str, Any], Origin], ...]
    tags: dict[str, Layers]
    alarms: dict[str, Layers]
    commands: dict[str, Layers]
    names: tuple[str, ...]
    """Its own name and those of the profiles it extends."""


class Profiles:
    """All profiles of a tree, by name."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._written: dict[str, tuple[dict[str, Any], Origin]] = {}
        self._made: dict[str, Profile | None] = {}
        self.incomplete = False
        """A profile file could not be parsed: a missing profile may be in it and is not reported."""

    def read(self, data: Any, origin: Origin) -> None:
        """Take in one document: a mapping of profile names."""
        profiles = mapping_at(data, origin, self._problems, what="the file")
        for name, value in (profiles or {}).items():
            place = origin.child(name)
            if not is_id(name):
                self._problems.at_key(place, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
            elif name in self._written:
                other = self._written[name][1]
                where = other.where
                self._problems.at_key(place, f"there are two profiles `{name}`, the other in {where}", "rename one")
                continue
            values = mapping_at(value, place, self._problems, what=f"profile `{name}`")
            if values is not None:
                self._written[name] = (values, place)
            else:
                self._made[name] = None

    def finish(self) -> None:
        """Resolve every `extends`, so that faults of unused profiles are found too."""
        for name in self._written:
            self._make(name, ())

    def names(self) -> list[str]:
        return list(self._written)

    def get(self, name: str, origin: Origin) -> Profile | None:
        """The profile `name` for the device at `origin`; None is reported here or was reported before."""
        if name in self._made:
            return self._made[name]
        if not self.incomplete:
            near = did_you_mean(name, self._written)
            library = f"`fieldpost profiles show {name} --write` copies one of the library"
            hint = near if near.startswith("did") else "; ".join(filter(None, [near, library]))
            self._problems.at(origin, f"there is no profile `{name}`", hint)
        return None

    def _make(self, name: str, chain: tuple[str, ...]) -> Profile | None:
        if name not in self._made:
            self._made[name] = None  # what a cycle finds
            self._made[name] = self._build(name, chain)
        return self._made[name]

    def _build(self, name: str, chain: tuple[str, ...]) -> Profile | None:
        values, origin = self._written[name]
        interval, values = _late_interval(values)
        keys, own = self._keys(name, values, origin)
        if keys is None:
            return None
        below = self._extended(name, keys, origin, chain)
        tags = dict(below.tags) if below else {}
        for path, value in keys.tags.items():
            layers = self._tag(path, value, origin.child("tags", path), tags.get(path))
            if layers is not None:
                tags[path] = layers
        alarms = dict(below.alarms) if below else {}
        for alarm, value in keys.alarms.items():
            layers = read_alarm(alarm, value, origin.child("alarms", alarm), alarms.get(alarm), self._problems)
            if layers is not None:
                alarms[alarm] = layers
        commands = dict(below.commands) if below else {}
        for command, value in keys.commands.items():
            place = origin.child("commands", command)
            layers = read_command(command, value, place, commands.get(command), self._problems)
            if layers is not None:
                commands[command] = layers
        base = below or Profile(name, origin, keys, {}, {}, None, None, (), (), {}, {}, {}, ())
        return Profile(
            name=name,
            origin=origin,
            keys=keys,
            params=base.params | keys.params,
            meta=base.meta | keys.meta,
            interval=interval or (keys.interval if keys.interval is not None else base.interval),
            conflict=keys.conflict or base.conflict,
            own=(*base.own, (own, origin)),
            defaults=(*base.defaults, (keys.defaults, origin.child("defaults"))),
            tags=tags,
            alarms=alarms,
            commands=commands,
            names=(name, *base.names),
        )

    def _keys(self, name: str, values: dict[str, Any], origin: Origin) -> tuple[ProfileKeys | None, dict[str, Any]]:
        layers, known = Layers(values, origin), fields_of(ProfileKeys)
        for key in values:
            if key in reserved.PROFILE:
                self._problems.at_key(origin.child(key), later(key, reserved.PROFILE[key]), "remove it for now")
        mine = {key: value for key, value in values.items() if key in known}
        own = {key: value for key, value in values.items() if key not in known and key not in reserved.PROFILE}
        keys = to_struct(ProfileKeys, mine, layers, self._problems, where=f"profile `{name}`")
        for parameter in keys.params if keys is not None else ():
            if hint := parameter_fault(parameter):
                place = origin.child("params", parameter)
                self._problems.at_key(place, f"`{parameter}` cannot name a parameter", hint)
        return keys, own

    def _extended(self, name: str, keys: ProfileKeys, origin: Origin, chain: tuple[str, ...]) -> Profile | None:
        base = keys.extends
        if base is None:
            return None
        place = origin.child("extends")
        if base == name or base in chain:
            self._problems.at(place, f"`{name}` extends itself over `{base}`", "break the circle")
            return None
        if len(chain) >= MAX_EXTENDS:
            self._problems.at(place, f"profiles extend each other at most {MAX_EXTENDS} deep")
            return None
        if base not in self._written:
            if not self.incomplete:
                self._problems.at(place, f"there is no profile `{base}`", did_you_mean(base, self._written))
            return None
        return self._make(base, (*chain, name))

    def _tag(self, path: str, value: Any, origin: Origin, below: Layers | None) -> Layers | None:
        return read_tag(path, value, origin, below, self._problems)


def _late_interval(values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """An interval with parameters, which each device makes a duration of, apart from what is known now."""
    written = values.get("interval")
    if not isinstance(written, str) or not has_braces(written):
        return "", values
    return written, {key: value for key, value in values.items() if key != "interval"}


def read_alarm(name: str, value: Any, origin: Origin, below: Layers | None, problems: Problems) -> Layers | None:
    """An alarm as written, over the same alarm of a profile; None when it is not a mapping or its id is bad."""
    if not is_id(name):
        problems.at_key(origin, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
        return None
    values = mapping_at(value, origin, problems, what=f"alarm `{name}`")
    if values is None:
        return None
    return Layers(values, origin) if below is None else below.over(values, origin)


def read_tag(path: str, value: Any, origin: Origin, below: Layers | None, problems: Problems) -> Layers | None:
    """A tag as written, over the same tag of a profile; None when it is not a mapping or its path is bad."""
    fault = tag_path_fault(path)
    if fault:
        problems.at_key(origin, fault, suggest_id(path) if "/" not in path else "")
        return None
    if not isinstance(value, dict):
        hint = "write {type: uint16, ...}"
        if value is None:
            problems.at_key(origin, f"tag `{path}` is empty", hint)
        else:
            problems.at(origin, f"tag `{path}` must be a mapping (key: value), not {show(value)}", hint)
        return None
    return Layers(value, origin) if below is None else below.over(value, origin)
