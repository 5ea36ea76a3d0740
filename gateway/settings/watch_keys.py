"""`watch` of a channel: rules for devices that are seen and not configured yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.settings.convert import show
from gateway.settings.ids import ID_RULE, did_you_mean, is_id, suggest_id
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.profile_file import Profiles
from gateway.settings.sections import mapping_at, section
from gateway.watching import PatternError, Patterns, WatchSpec, compiled

MOST_DEVICES = 1000
_HINT = 'write match: {name: "Ruuvi *"}'


class WatchKeys(msgspec.Struct, frozen=True, rename={"except_": "except"}):
    match: dict[str, Any]
    except_: dict[str, Any] = {}
    profile: str | None = None
    id: str = "{name}"
    keys: dict[str, Any] = {}
    approve: Literal["manual", "auto"] = "manual"
    limit: Annotated[int, Meta(ge=1, le=MOST_DEVICES)] = 50
    enabled: bool = True


def read_watch(
    rules: dict[str, Any], layers: Layers, profiles: Profiles, known: Collection[str], channel: str, problems: Problems
) -> list[WatchSpec]:
    """The rules of a channel, those without a fault. `known`: keys of a device of its driver."""
    found = []
    for name, value in rules.items():
        origin = layers.origin("watch", name)
        if not is_id(name):
            problems.at_key(origin, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
        what = f"watch rule `{name}`"
        values = mapping_at(value, origin, problems, what=what, form=_HINT)
        keys = None if values is None else section(WatchKeys, values, origin, problems, what=what)
        if keys is None:
            continue
        _check(keys, origin, profiles, known, problems)
        made = WatchSpec(
            channel=channel,
            name=name,
            match=_patterns(keys.match, origin.child("match"), problems),
            block=_patterns(keys.except_, origin.child("except"), problems),
            profile=keys.profile or "",
            id=keys.id,
            keys=keys.keys,
            auto=keys.approve == "auto",
            limit=keys.limit,
        )
        if keys.enabled:
            found.append(made)
    return found


def _check(keys: WatchKeys, origin: Origin, profiles: Profiles, known: Collection[str], problems: Problems) -> None:
    if not keys.match:
        problems.at_key(origin.child("match"), "a rule without `match` would take everything", _HINT)
    if keys.profile is not None:
        profiles.get(keys.profile, origin.child("profile"))
    for key in keys.keys:
        if key == "profile":
            problems.at_key(origin.child("keys", key), "the profile stands beside `keys`", "write profile: above it")
        elif key not in known:
            place = origin.child("keys", key)
            problems.at_key(place, f"unknown key `{key}` of a device", did_you_mean(key, known))


def _patterns(written: dict[str, Any], origin: Origin, problems: Problems) -> Patterns:
    found = []
    for key, value in written.items():
        place = origin.child(key)
        texts = [_text(one) for one in (value if isinstance(value, list) else [value])]
        if not texts or None in texts:
            problems.at(place, f"`{key}` takes a pattern or a list of them, not {show(value)}", f'{key}: "sensor-*"')
            continue
        for text in texts:
            try:
                compiled(text or "")
            except PatternError as error:
                problems.at(place, str(error))
        found.append((key, tuple(text or "" for text in texts)))
    return tuple(found)


def _text(value: Any) -> str | None:
    """A pattern as text: a number stands for its digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None
