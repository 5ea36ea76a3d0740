"""Provision watchers as watch rules of the channels whose devices they could bring."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.importing.draft import Draft
from gateway.importing.edgex.devices import Channel, Devices
from gateway.importing.edgex.events import read_events, schedule
from gateway.importing.edgex.gopatterns import anywhere
from gateway.importing.edgex.kept import keep_rest, put, put_all
from gateway.importing.edgex.profile import Profile
from gateway.importing.edgex.protocols import stub_of
from gateway.importing.names import Names
from gateway.importing.views import View
from gateway.patterns import PatternError

_SEEING = "mqtt"
"""The driver that sees devices which nobody configured, of those that EdgeX files lead to."""
_TOPICS = "incoming/data/{}/+"
_KNOWN = ("name", "serviceName", "labels", "identifiers", "blockingIdentifiers", "adminState", "discoveredDevice")
_DEVICE = ("profileName", "adminState", "autoEvents", "properties")
_PROPERTIES = {"Address": "address", "Port": "port", "Endpoint": "url", "UnitID": "unit_id", "Name": "name"}
"""What our drivers call what EdgeX' protocol blocks hold."""
_LONGEST = 200


def draw_watcher(view: View, profiles: Mapping[str, Profile], devices: Devices, draft: Draft) -> None:
    """The rule of a watcher, in each channel that it is for."""
    named, template = view.get("name"), view.get("discoveredDevice")
    name = named.as_text() if named is not None else None
    if not name or named is None or template is None or template.as_map() is None:
        if template is None or not name:
            draft.report.error(view.place, "a provision watcher needs a `name` and a `discoveredDevice`")
        return
    match, block = _match(view), _block(view)
    profile, wanted = _profile(template, profiles, draft)
    if match is None or block is None or wanted is None:
        return
    rule: dict[str, Any] = {"match": match}
    if block:
        rule["except"] = block
    if wanted:
        rule["profile"] = wanted
    locked = _is_locked(view, draft)
    put_all({}, view, ("labels",))
    keep_rest(view, _KNOWN, {})
    for channel in _channels(view, profile, devices, draft):
        data = dict(rule)
        data["keys"] = _keys(template, profile, channel, devices, draft)
        data["approve"] = "auto"
        if channel.link.driver == _SEEING:
            channel.link.keys.setdefault("discover", {"topics": [_TOPICS.format("{device}")]})
            data["keys"]["topic"] = _TOPICS.format("{name}")
        if locked or channel.link.driver != _SEEING:
            data["enabled"] = False
        _tell(view, name, channel, draft)
        rules = channel.data.setdefault("watch", {})
        names = Names(draft.report, "watcher")
        for taken in rules:
            names.reserve(taken)
        rule_id = names.id_of(name, named.place)
        rules[rule_id] = data
        draft.at(view.place, "channels", channel.id, "watch", rule_id)
    devices.draw()


def _tell(view: View, name: str, channel: Channel, draft: Draft) -> None:
    driver = channel.link.driver
    if driver != _SEEING:
        text = f"`{name}` is kept and disabled: driver {driver} of channel `{channel.id}` sees no devices by itself"
        draft.report.warning(view.place, f"{text}; `fieldpost scan` looks for them")


def _match(view: View) -> dict[str, list[str]] | None:
    found = view.get("identifiers")
    if found is None:
        view.report.error(view.place, "a provision watcher needs `identifiers`", "identifiers: {Port: '502'}")
    if found is None or found.as_map() is None:
        return None
    match: dict[str, list[str]] = {}
    for key, each in found.entries():
        found.get(key)
        pattern = each.text
        if not each.is_scalar or len(pattern) > _LONGEST:
            view.report.error(each.place, f"`{key}` is no regular expression of at most {_LONGEST} characters")
            continue
        try:
            match[_property(key, each)] = [anywhere(pattern)]
        except PatternError as error:
            view.report.error(each.place, f"`{pattern[:40]}` is no regular expression that can be used: {error}")
            continue
        shown = pattern[:40]
        text = f"EdgeX finds `{shown}` anywhere in a text, and so does this rule; /{shown}/ would have to fit all of it"
        view.report.changed(each.place, text)
    if not found.keys():
        view.report.error(
            found.place, "a watcher without `identifiers` would take everything", "identifiers: {Port: '502'}"
        )
    return match or None


def _block(view: View) -> dict[str, list[str]] | None:
    found = view.get("blockingIdentifiers")
    if found is None:
        return {}
    if found.as_map() is None:
        return None
    block: dict[str, list[str]] = {}
    for key, each in found.entries():
        found.get(key)
        values = [each.text] if each.is_scalar else [one.text for one in each.as_list() or ()]
        for one in each.items():
            if not one.is_scalar:
                view.report.error(one.place, f"`{key}` takes texts and numbers")
        if values:
            block[_property(key, each)] = [_exactly(value) for value in values]
    return block


def _exactly(value: str) -> str:
    """A pattern that only this text fits; case counts."""
    plain = not any(sign.isalpha() or sign in "*?/" for sign in value) and value
    return value if plain else f"/{re.escape(value)}/"


def _property(key: str, view: View) -> str:
    mine = _PROPERTIES.get(key, key)
    if mine != key:
        view.report.changed(view.place, f"`{key}` is the property `{mine}` here")
    return mine


def _profile(template: View, profiles: Mapping[str, Profile], draft: Draft) -> tuple[Profile | None, str | None]:
    """The profile and its id; None where it is missing and reported."""
    found = template.get("profileName")
    wanted = found.text.strip() if found is not None else ""
    if not wanted:
        return None, ""
    if wanted in profiles:
        return profiles[wanted], profiles[wanted].id
    if wanted in draft.known.profiles:
        return None, wanted
    place = found.place if found is not None else template.place
    draft.report.error(place, f"there is no profile `{wanted}`", "import its profile together with it")
    return None, None


def _is_locked(view: View, draft: Draft) -> bool:
    state = view.get("adminState")
    if state is None or state.text.strip().upper() != "LOCKED":
        return False
    draft.report.changed(state.place, "LOCKED: the rule is disabled")
    return True


def _channels(view: View, profile: Profile | None, devices: Devices, draft: Draft) -> list[Channel]:
    """Where the watched devices could be: by driver, else by profile, service or the properties of their blocks."""
    service, identifiers = view.get("serviceName"), view.get("identifiers")
    wanted = service.text.strip() if service is not None else ""
    keys = set(identifiers.keys()) if identifiers is not None else set()
    known = devices.channels
    choices = (
        [each for each in known if profile is not None and profile.protocol and each.link.driver == profile.protocol],
        [each for each in known if profile is not None and profile.name in each.profiles],
        [each for each in known if wanted and wanted in each.services],
        [each for each in known if keys and keys <= each.properties],
    )
    found = next(filter(None, choices), None)
    if found is not None:
        return found
    protocol = profile.protocol if profile is not None else ""
    name = wanted or "watcher"
    draft.report.warning(view.place, "no device of this import has a channel for it: the rule gets one of its own")
    return [devices.add(stub_of(name, None, protocol, view.place))]


def _keys(template: View, profile: Profile | None, channel: Channel, devices: Devices, draft: Draft) -> dict[str, Any]:
    """Keys of the devices that come in."""
    keys: dict[str, Any] = {}
    state = template.get("adminState")
    if state is not None and state.text.strip().upper() == "LOCKED":
        keys["enabled"] = False
    events = read_events(template.get("autoEvents"), profile, "a discovered device")
    tags = schedule(events, profile, devices.groups(channel, events), template)
    if tags and channel.link.driver != "mqtt":
        polled = {"on_demand": False} if channel.data.get("defaults", {}).get("on_demand") else {}
        keys["tags"] = {path: each | polled for path, each in tags.items()}
    if draft.options.interval:
        keys["interval"] = draft.options.interval
    meta: dict[str, str] = {}
    properties = template.get("properties")
    if properties is not None:
        for key, each in properties.entries():
            properties.get(key)
            put(meta, key, each)
    keep_rest(template, _DEVICE, meta)
    if meta:  # in a rule braces are properties of what was seen
        keys["meta"] = {key: text.replace("{{", "(").replace("}}", ")") for key, text in meta.items()}
    return keys


__all__ = ["draw_watcher"]
