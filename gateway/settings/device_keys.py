"""A device's keys to a DeviceSpec: profile and parameters below, its own keys on top, its tags made once per shape."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from gateway.driver import DriverSpec
from gateway.model import CommandSpec, DeviceSpec, Schedule, TagSpec
from gateway.settings import reserved
from gateway.settings.command_keys import CommandMaker, read_command
from gateway.settings.convert import fields_of, to_struct
from gateway.settings.faults import FaultPlaces
from gateway.settings.filling import Filler
from gateway.settings.free_texts import free_texts
from gateway.settings.ids import did_you_mean
from gateway.settings.inventory import Entry, Inventory
from gateway.settings.keys import TAG_DEFAULTS, DeviceKeys, ProfileKeys
from gateway.settings.periods import check_interval
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.profile_file import Profile, Profiles, read_alarm, read_tag
from gateway.settings.sections import refuse_unknown
from gateway.settings.tag_keys import TagMaker, check_scale_tags, check_verify_tags
from gateway.settings.templates import parameter_fault
from gateway.units import Seconds

Layer = tuple[dict[str, Any], Origin]


def _owned(spec: TagSpec, device: str) -> TagSpec:
    """A computed tag knows its device, whose tags its short names mean; others are shared by all of a profile."""
    return spec if spec.virtual is None else replace(spec, virtual=replace(spec.virtual, device=device))


class DeviceMaker:
    """Makes the devices of one channel. Tags of a profile without parameters are made once and shared."""

    def __init__(
        self,
        driver: DriverSpec,
        profiles: Profiles,
        tag_maker: TagMaker,
        device_defaults: Layer,
        tag_defaults: Layer,
        schedule: Schedule,
        places: FaultPlaces,
        inventory: Inventory,
    ) -> None:
        self._driver = driver
        self._profiles = profiles
        self._tag_maker = tag_maker
        self._problems: Problems = tag_maker.problems
        self._device_defaults = device_defaults
        self._tag_defaults = tag_defaults
        self._schedule = schedule
        self._places = places
        self._inventory = inventory
        self._based: dict[Profile, dict[str, Layers]] = {}
        self._made: dict[Layers, TagSpec | None] = {}
        self._commands: dict[tuple[CommandSpec, ...], tuple[CommandSpec, ...]] = {}
        """Sets of commands that devices have in common, each kept once."""

    def make(self, name: str, number: int | None, written: dict[str, Any], origin: Origin) -> DeviceSpec | None:
        """The device `name`; `number` is its place in a range. None when it cannot be made (all reported)."""
        what = f"device `{name}`"
        profile = self._profile(written, origin)
        scope = self._scope(profile, written, number)
        self._inventory.parameters.update(scope)
        filler = Filler(scope, self._problems, device=name)
        values = filler.mapping({key: value for key, value in written.items() if key != "params"}, origin)
        if "params" in written:
            values["params"] = written["params"]
        keys = self._keys(values, origin, what)
        layers = self._stack(profile, values, origin, filler)
        settings = to_struct(self._driver.device, layers.values, layers, self._problems, where=what)
        if keys is None:
            return None
        tags, broken = self._tags(name, profile, keys, origin, filler)
        alarms = self._alarms(profile, keys, origin, filler)
        commands = self._named(profile, keys, origin, filler, CommandMaker(tags, broken, self._problems))
        meta = self._meta(profile, keys, origin, filler)
        schedule = self._interval(keys, profile, origin, filler)
        self._check_params(keys, profile, origin, filler)
        if settings is None:
            return None
        self._places.remember(name, layers, {path: layer for path, (_, layer) in tags.items()})
        self._inventory.add(Entry(name, profile.names if profile else (), tags, alarms, origin, broken))
        return DeviceSpec(
            id=name,
            settings=settings,
            tags=tuple(spec for spec, _ in tags.values()),
            schedule=schedule,
            enabled=keys.enabled,
            profile=profile.name if profile else "",
            meta=meta,
            conflict=keys.conflict or (profile.conflict if profile else None) or "cloud_wins",
            commands=commands,
        )

    def _profile(self, written: dict[str, Any], origin: Origin) -> Profile | None:
        name = written.get("profile")
        if not isinstance(name, str):
            return None  # a wrong type is found with the other keys
        return self._profiles.get(name, origin.child("profile"))

    @staticmethod
    def _scope(profile: Profile | None, written: dict[str, Any], number: int | None) -> dict[str, Any]:
        given = written.get("params")
        scope = dict(profile.params) if profile else {}
        scope |= given if isinstance(given, dict) else {}
        if number is not None:
            # a parameter may itself be built from the number: params: {base: "{n * 100}"}
            scope["n"] = number
        return scope

    def _keys(self, values: dict[str, Any], origin: Origin, what: str) -> DeviceKeys | None:
        kernel, own = fields_of(DeviceKeys), fields_of(self._driver.device)
        layers = Layers(values, origin)
        words = {key: text for key, text in reserved.DEVICE.items() if key not in own}
        refuse_unknown(layers, {*kernel, *own}, self._problems, what=what, reserved=words)
        mine = {key: value for key, value in values.items() if key in kernel}
        return to_struct(DeviceKeys, mine, layers, self._problems, where=what)

    def _stack(self, profile: Profile | None, values: dict[str, Any], origin: Origin, filler: Filler) -> Layers:
        """Defaults of the channel, keys of the profile, keys of the device: later ones win, lists add up."""
        own = fields_of(self._driver.device)
        defaults, written_at = self._device_defaults
        layers = Layers(filler.mapping(defaults, written_at), written_at)
        if profile is not None:
            for below, place in (*profile.defaults, *profile.own):
                known = {key: value for key, value in below.items() if key in own}
                layers = layers.over(filler.mapping(known, place), place, add_lists=True)
            self._check_profile_keys(profile)
        return layers.over({key: v for key, v in values.items() if key in own}, origin, add_lists=True)

    def _check_profile_keys(self, profile: Profile) -> None:
        device, tag = fields_of(self._driver.device), {*fields_of(self._driver.tag), *TAG_DEFAULTS}
        for below, place in profile.own:
            for key in below:
                if key not in device:
                    hint = did_you_mean(key, {*device, *fields_of(ProfileKeys)})
                    text = f"unknown key `{key}` in profile `{profile.name}`"
                    self._problems.at_key(place.child(key), text, hint)
        for below, place in profile.defaults:
            for key in below:
                if key not in device and key not in tag:
                    hint = did_you_mean(key, {*device, *tag})
                    self._problems.at_key(place.child(key), f"unknown key `{key}` in `defaults`", hint)

    def _based_tags(self, profile: Profile) -> dict[str, Layers]:
        """The profile's tags over the channel's and the profile's defaults, once per channel."""
        if profile not in self._based:
            device, tag = fields_of(self._driver.device), {*fields_of(self._driver.tag), *TAG_DEFAULTS}
            extra = [
                ({key: value for key, value in below.items() if key in tag and key not in device}, place)
                for below, place in profile.defaults
            ]
            self._based[profile] = {
                path: self._on_defaults(layers, [layer for layer in extra if layer[0]])
                for path, layers in profile.tags.items()
            }
        return self._based[profile]

    def _on_defaults(self, tag: Layers, extra: list[Layer]) -> Layers:
        if not self._tag_defaults[0] and not extra:
            return tag
        layers = Layers(*self._tag_defaults)
        for values, origin in (*extra, *tag.stack):
            layers = layers.over(values, origin)
        return layers

    def _alarms(self, profile: Profile | None, keys: DeviceKeys, origin: Origin, filler: Filler) -> dict[str, Layers]:
        stacks = dict(profile.alarms) if profile else {}
        for name, value in keys.alarms.items():
            place = origin.child("alarms", name)
            layers = read_alarm(name, value, place, stacks.get(name), self._problems)
            if layers is not None:
                stacks[name] = layers
        return {name: filler.layers(stack) for name, stack in stacks.items()}

    def _named(
        self, profile: Profile | None, keys: DeviceKeys, origin: Origin, filler: Filler, maker: CommandMaker
    ) -> tuple[CommandSpec, ...]:
        """The named commands: those of the profile, changed by the device's own."""
        stacks = dict(profile.commands) if profile else {}
        for name, value in keys.commands.items():
            layers = read_command(name, value, origin.child("commands", name), stacks.get(name), self._problems)
            if layers is not None:
                stacks[name] = layers
        made = (maker.make(name, filler.layers(stack, inside=())) for name, stack in stacks.items())
        commands = tuple(command for command in made if command is not None)
        return self._commands.setdefault(commands, commands)

    def _tags(
        self, device: str, profile: Profile | None, keys: DeviceKeys, origin: Origin, filler: Filler
    ) -> tuple[dict[str, tuple[TagSpec, Layers]], frozenset[str]]:
        """The tags by path, and the paths of those that could not be made."""
        stacks = dict(self._based_tags(profile)) if profile else {}
        for path, value in keys.tags.items():
            below = stacks.get(path)
            layers = read_tag(path, value, origin.child("tags", path), below, self._problems)
            if layers is None:
                continue
            stacks[path] = layers if below is not None else self._on_defaults(layers, [])
        made: dict[str, tuple[TagSpec, Layers]] = {}
        for path, stack in stacks.items():
            layers = filler.layers(stack)
            if layers is not stack:  # filled with this device's own parameters
                spec = self._tag_maker.make(path, layers)
            else:
                if stack not in self._made:
                    self._made[stack] = self._tag_maker.make(path, stack)
                spec = self._made[stack]
            if spec is not None:
                made[path] = (_owned(spec, device), layers)
        self._check_folders(made)
        check_verify_tags(made, self._problems)
        check_scale_tags(made, self._problems)
        return made, frozenset(path for path in (*stacks, *keys.tags) if path not in made)

    def _check_folders(self, tags: dict[str, tuple[TagSpec, Layers]]) -> None:
        """A path cannot be a value and a folder: a document with one leaf below another cannot be written."""
        for path, (_, layers) in tags.items():
            head = path
            while "/" in head:
                head = head.rpartition("/")[0]
                if head in tags:
                    message = f"`{head}` is a tag and cannot be the folder of `{path}` too"
                    self._problems.at_key(layers.origin(), message, f"rename `{head}` to `{head}/value`")

    def _check_params(self, keys: DeviceKeys, profile: Profile | None, origin: Origin, filler: Filler) -> None:
        declared = set(profile.params) if profile else set()
        for name in keys.params:
            place = origin.child("params", name)
            if hint := parameter_fault(name):
                self._problems.at_key(place, f"`{name}` cannot name a parameter", hint)
            elif name not in filler.used and name not in declared:
                hint = did_you_mean(name, declared | filler.used | filler.missing)
                self._problems.at_key(place, f"the parameter `{name}` is not used", hint)

    def _interval(self, keys: DeviceKeys, profile: Profile | None, origin: Origin, filler: Filler) -> Schedule:
        if keys.interval is not None:
            check_interval(keys.interval, origin.child("interval"), self._problems)
            return Schedule(float(keys.interval))
        if profile is not None and profile.interval is not None:
            seconds = self._filled_interval(profile, filler)
            if seconds is not None:
                check_interval(seconds, profile.origin.child("interval"), self._problems)
                return Schedule(float(seconds))
        return self._schedule

    def _filled_interval(self, profile: Profile, filler: Filler) -> Seconds | None:
        """The profile's interval with this device's parameters; None when that is no duration (reported)."""
        if not isinstance(profile.interval, str):
            return profile.interval  # type: ignore[no-any-return]
        written = filler.mapping({"interval": profile.interval}, profile.origin)
        layers = Layers(written, profile.origin)
        found = to_struct(ProfileKeys, written, layers, self._problems, where=f"profile `{profile.name}`")
        return None if found is None else found.interval

    def _meta(
        self, profile: Profile | None, keys: DeviceKeys, origin: Origin, filler: Filler
    ) -> tuple[tuple[str, str], ...]:
        place = profile.origin.child("meta") if profile else origin
        below = free_texts(filler.mapping(profile.meta, place), place, self._problems) if profile else ()
        own = free_texts(keys.meta, origin.child("meta"), self._problems)
        # a profile's name is not the device's
        renamed = {"profile_name" if key == "name" else key: text for key, text in below}
        return tuple({**renamed, **dict(own)}.items())
