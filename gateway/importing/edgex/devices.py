"""Device lists: which channel a device is on, which keys it has, and when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from gateway.importing.draft import Draft
from gateway.importing.edgex.events import Event, read_events, schedule
from gateway.importing.edgex.kept import keep_rest, put_all
from gateway.importing.edgex.profile import Profile
from gateway.importing.edgex.protocols import Link, is_known, link_of, show_times, stub_of
from gateway.importing.edgex.times import duration_of
from gateway.importing.edgex.topics import mqtt_tags
from gateway.importing.names import Names
from gateway.importing.report import Place
from gateway.importing.views import View

_META = ("description", "labels", "tags", "location", "parent", "properties")
_KNOWN = ("name", "profileName", "adminState", "operatingState", "serviceName", "protocols", "autoEvents", *_META)
_UNSCHEDULED = ("mqtt",)
"""Drivers whose devices speak by themselves."""


class Channel(Struct):
    """A channel in the making. `profiles`, `services`, `properties`: what its devices have, for watchers."""

    id: str
    link: Link
    data: dict[str, Any]
    groups: dict[tuple[str, str], str] = field(default_factory=dict)
    names: Names | None = None
    profiles: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    properties: set[str] = field(default_factory=set)


class Devices:
    """Takes devices one after the other and draws their channels."""

    def __init__(self, profiles: Mapping[str, Profile], draft: Draft) -> None:
        self._profiles = profiles
        self._draft = draft
        self._report = draft.report
        self._channels: dict[tuple[Any, ...], Channel] = {}
        self._names: set[str] = set()

    @property
    def channels(self) -> list[Channel]:
        """All of them, in the order of the files."""
        return list(self._channels.values())

    def read(self, view: View) -> None:
        """Take in one device; what is wrong is reported, and it is left out then."""
        if view.as_map() is None:
            return
        named = view.get("name")
        name = named.as_text() if named is not None else None
        if not name or named is None:
            self._report.error(view.place, "a device needs a `name`", "name: pump1")
        elif name in self._names:
            self._report.error(named.place, f"there are two devices `{name}`", "device names are unique: rename one")
        else:
            self._names.add(name)
            self._device(view, name, named.place)

    def _device(self, view: View, name: str, place: Place) -> None:
        profile, profile_id = self._profile(view, name)
        found = self._link(view, name, profile)
        if found is None or profile_id is None:
            return
        link, block = found
        channel = self._channel(link)
        device = self._draft.device_names.id_of(name, place)
        where = ("channels", channel.id, "devices", device)
        self._draft.at(view.place, *where)
        data: dict[str, Any] = {"enabled": False} if self._is_locked(view) or not profile_id else {}
        data |= {key: value for key, value in link.device.items() if key != "meta"}
        if profile_id:
            data["profile"] = profile_id
        events = self._events(view, name, profile, profile_id)
        tags = self._tags(view, name, profile, channel, events, data)
        if tags:
            data["tags"] = tags
        for path in tags:
            self._draft.at(view.place, *where, "tags", path)
        data["meta"] = self._meta(view, link)
        channel.data["devices"][device] = data
        self._remember(view, channel, block)

    def _events(self, view: View, name: str, profile: Profile | None, profile_id: str) -> list[Event]:
        listed = view.get("autoEvents")
        if listed is None or profile_id:
            return read_events(listed, profile, name)
        _ = listed.data
        self._report.ignored(
            listed.place, f"`autoEvents`: `{name}` names no profile (`profileName`) that they read from"
        )
        return []

    def _remember(self, view: View, channel: Channel, block: View | None) -> None:
        profile, service = view.get("profileName"), view.get("serviceName")
        if profile is not None:
            channel.profiles.add(profile.text.strip())
        if service is not None:
            channel.services.add(service.text.strip())
            self._report.ignored(service.place, "`serviceName` has no meaning here: the channel's driver reads")
        if block is not None:
            channel.properties.update(block.keys())

    def _profile(self, view: View, name: str) -> tuple[Profile | None, str | None]:
        """The profile and its id: empty where the device has none, None where it should have one."""
        found = view.get("profileName")
        wanted = found.text.strip() if found is not None else ""
        if not wanted:
            self._report.warning(view.place, f"`{name}` has no profile: it is disabled until it gets one")
            return None, ""
        profile = self._profiles.get(wanted)
        if profile is not None:
            return profile, profile.id
        if wanted in self._draft.known.profiles:
            return None, wanted
        place = found.place if found is not None else view.place
        near = next((known for known in self._profiles if known.lower() == wanted.lower()), "")
        hint = f"did you mean `{near}`?" if near else "import its profile together with it"
        self._report.error(place, f"there is no profile `{wanted}`", hint)
        return None, None

    def _link(self, view: View, name: str, profile: Profile | None) -> tuple[Link, View | None] | None:
        protocols = view.get("protocols")
        if protocols is not None and protocols.as_map() is None:
            return None
        attributes = profile.protocol if profile is not None else ""
        blocks = [(key, each) for key, each in protocols.entries()] if protocols is not None else []
        known = [(key, each) for key, each in blocks if is_known(key)]
        for key, each in blocks:
            if known and not each.is_same(known[0][1]):
                _ = each.data
                self._report.ignored(
                    each.place, f"`{name}` has several protocols: `{known[0][0]}` is taken, not `{key}`"
                )
        if not known:
            key, block = blocks[0] if blocks else ("", None)
            if block is not None and block.as_map() is None:
                return None
            return stub_of(key, block, attributes, view.place), block
        key, block = known[0]
        if block.as_map() is None:
            return None
        link = link_of(key, block, name)
        if link is not None and attributes not in {"", link.driver}:
            at = view.get("profileName")
            text = f"the profile has addresses of {attributes}, and `{name}` speaks {key}"
            self._report.error(at.place if at is not None else view.place, text)
            return None
        return None if link is None else (link, block)

    def _channel(self, link: Link) -> Channel:
        channel = self._channels.get(link.key)
        if channel is None:
            channel = self.add(link)
        elif channel.link.keys.get("serial") != link.keys.get("serial"):
            lines = [each.keys["serial"]["line"] for each in (channel.link, link)]
            text = f"{link.keys['serial']['port']} is set to {lines[0]} by another device and to {lines[1]} by this one"
            self._report.error(link.place, text, "one line has one setting")
        for key, seconds in link.times.items():
            known = channel.link.times.setdefault(key, seconds)
            if seconds != known:
                channel.link.times[key] = max(known, seconds)
                longest = duration_of(channel.link.times[key])
                self._report.changed(link.place, f"devices on one channel share `{key}`: {longest}, the longest")
        return channel

    def add(self, link: Link) -> Channel:
        """A new channel for a link."""
        names, slug, number = self._draft.channel_names, link.slug, 2
        while slug in names or slug in self._draft.known.channels:
            slug = f"{link.slug}-{number}"
            number += 1
        channel = Channel(names.id_of(slug, link.place), link, {"driver": link.driver, "devices": {}})
        self._channels[link.key] = channel
        self._draft.at(link.place, "channels", channel.id)
        for text in link.warnings:
            self._report.warning(link.place, text)
        if link.secret is not None:
            secret = self._draft.credential(f"{channel.id}_password", "password of the connection", link.secret)
            holder = link.keys.get("identity", link.keys)
            holder["password"] = secret
        return channel

    def _is_locked(self, view: View) -> bool:
        state = view.get("adminState")
        operating = view.get("operatingState")
        if operating is not None:
            self._report.ignored(operating.place, "`operatingState` is found out by asking the device")
        if state is None:
            return False
        word = state.text.strip().upper()
        if word not in {"LOCKED", "UNLOCKED"}:
            self._report.error(
                state.place, f"`{state.text[:40]}` is neither LOCKED nor UNLOCKED", "adminState: UNLOCKED"
            )
        return word == "LOCKED"

    def _tags(
        self,
        view: View,
        name: str,
        profile: Profile | None,
        channel: Channel,
        events: list[Event],
        data: dict[str, Any],
    ) -> dict[str, dict[str, Any]]:
        """Keys that the device adds to the profile's tags."""
        if channel.link.driver in _UNSCHEDULED:
            return self._unscheduled(view, name, profile, channel, events)
        tags = schedule(events, profile, self.groups(channel, events), view)
        readable = [each.path for each in profile.tags() if "r" in each.access] if profile is not None else []
        left = [path for path in readable if path not in tags]
        if not left:
            return tags
        if self._draft.options.interval:
            data["interval"] = self._draft.options.interval
            return tags
        shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
        text = f"`{name}` has no schedule for {shown}: read on demand (`--interval 10s` reads them all the time)"
        self._report.guessed(view.place, text)
        channel.data.setdefault("defaults", {})["on_demand"] = True
        return tags

    def _unscheduled(
        self, view: View, name: str, profile: Profile | None, channel: Channel, events: list[Event]
    ) -> dict[str, dict[str, Any]]:
        for event in events:
            self._report.changed(event.place, f"`{name}` publishes by itself: `interval` asks for nothing")
        more = mqtt_tags(name, profile, channel.link.command_topic, view)
        tags = schedule(events, profile, None, view)
        return {path: keys for path in [*more, *tags] if (keys := more.get(path, {}) | tags.get(path, {}))}

    def groups(self, channel: Channel, events: list[Event]) -> dict[tuple[str, str], str]:
        """The channel's groups of these events, made where they are new."""
        if channel.names is None:
            channel.names = Names(self._report, "group")
        for event in events:
            every = duration_of(event.seconds)
            if (event.source, every) not in channel.groups:
                same = [source for source, _ in channel.groups if source == event.source]
                name = f"{event.source}-{every}" if same else event.source
                made = channel.groups[event.source, every] = channel.names.id_of(name, event.place)
                channel.data.setdefault("groups", {})[made] = every
                self._draft.at(event.place, "channels", channel.id, "groups", made)
        return channel.groups

    def _meta(self, view: View, link: Link) -> dict[str, str]:
        meta: dict[str, str] = {}
        put_all(meta, view, ("name", *_META))
        meta |= link.device.get("meta", {})
        keep_rest(view, _KNOWN, meta)
        return meta

    def draw(self) -> None:
        """The channels in our words."""
        for channel in self._channels.values():
            data = channel.data
            if data.get("defaults", {}).get("on_demand"):
                _poll_what_has_a_group(data["devices"])
            order = {"driver": channel.link.driver, **channel.link.keys}
            if channel.link.stub:
                order["enabled"] = False
            if channel.link.driver == "sim":
                data.setdefault("defaults", {})["signal"] = "constant"
            order |= show_times(channel.link.times)
            for key in ("defaults", "groups", "watch", "devices"):
                if key in data and (data[key] or key == "devices"):
                    order[key] = data[key]
            self._draft.channels[channel.id] = order


def _poll_what_has_a_group(devices: Mapping[str, Mapping[str, Any]]) -> None:
    for device in devices.values():
        for keys in device.get("tags", {}).values():
            if "group" in keys:
                keys["on_demand"] = False
