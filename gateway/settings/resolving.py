"""A profile with what it extends and its parameters put in: the plain profile that means the same for one device."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.settings.filling import Filler, is_of_tags
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Key, Layers, Origin, Problems
from gateway.settings.profile_file import Profile

_DEVICE = "\N{SYMBOL FOR NULL}device\N{SYMBOL FOR NULL}"
"""Stands for the device's id while parameters are put in: it stays a parameter of its own."""


def resolve(
    profile: Profile, params: Mapping[str, Any], problems: Problems, device_keys: Collection[str] = ()
) -> dict[str, Any]:
    """The keys of a profile that extends nothing and has no parameters. `params`: over those of the profile; `n` is the
    number of a range. `device_keys`: keys of a device of the driver, whose lists add up. What is wrong is reported.
    """
    filler = Filler({**profile.params, **params}, problems, device=_DEVICE)
    keys: dict[str, Any] = {}
    if profile.meta:
        keys["meta"] = _plain(filler.mapping(profile.meta, profile.origin.child("meta")), ("meta",))
    if profile.interval is not None:
        written = profile.interval if isinstance(profile.interval, str) else f"{profile.interval:g}s"
        keys |= filler.mapping({"interval": written}, profile.origin)
    if profile.conflict is not None:
        keys["conflict"] = profile.conflict
    defaults = _stacked(profile.defaults, filler, device_keys)
    if defaults:
        keys["defaults"] = defaults
    own = _stacked(profile.own, filler, None)
    keys |= {key: value for key, value in own.items() if key != "defaults"}
    for section, stacks in (("tags", profile.tags), ("alarms", profile.alarms), ("commands", profile.commands)):
        if stacks:
            found = {name: filler.layers(layers).values for name, layers in stacks.items()}
            keys[section] = _plain(found, (section,))
    _check_used(filler, profile, params, problems)
    return keys


def _stacked(
    layers: tuple[tuple[dict[str, Any], Origin], ...], filler: Filler, listed: Collection[str] | None
) -> dict[str, Any]:
    """Keys of one level over those of what is extended. `listed`: keys whose lists add up, None: all."""
    merged: Layers | None = None
    for values, origin in layers:
        filled = filler.mapping(values, origin)
        if merged is None:
            merged = Layers(filled, origin)
            continue
        adding = {key: value for key, value in filled.items() if listed is None or key in listed}
        rest = {key: value for key, value in filled.items() if key not in adding}
        merged = merged.over(adding, origin, add_lists=True).over(rest, origin)
    return {} if merged is None else dict(_plain(merged.values, ()))


def _plain(value: Any, path: tuple[Key, ...]) -> Any:
    """A filled value as it has to be written: braces that are meant as such are doubled."""
    if isinstance(value, dict):
        return {key: _plain(each, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, (*path, number)) for number, each in enumerate(value)]
    if not isinstance(value, str) or is_of_tags(path):
        return value
    return value.replace("{", "{{").replace("}", "}}").replace(_DEVICE, "{device}")


def _check_used(filler: Filler, profile: Profile, params: Mapping[str, Any], problems: Problems) -> None:
    for name in params:
        if name not in filler.used and name not in profile.params and name != "n":
            hint = did_you_mean(name, {*profile.params, *filler.used, *filler.missing})
            problems.at(profile.origin, f"the parameter `{name}` is not used", hint)
