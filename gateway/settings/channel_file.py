"""channels/*.yaml: one wire each. Lays defaults, profile and device over each other and makes a ChannelSpec.

A default goes to the outermost level that knows its key (channel, then device, then tag); how a driver's level below
inherits it is the driver's own business. Lists of a driver's device keys (`forbidden`) given by defaults, profile and
device add up: a range that must never be asked is not lost by naming another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from gateway.driver import DriverSpec
from gateway.model import ChannelSpec, DeviceSpec, Schedule
from gateway.settings import reserved
from gateway.settings.convert import fields_of, to_struct
from gateway.settings.device_keys import DeviceMaker
from gateway.settings.faults import FaultPlaces
from gateway.settings.ids import ID_RULE, did_you_mean, is_id, suggest_id
from gateway.settings.inventory import Inventory
from gateway.settings.keys import TAG_DEFAULTS, ChannelKeys, DeviceKeys, TagKeys
from gateway.settings.periods import check_interval, read_groups
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.profile_file import Profiles
from gateway.settings.sections import mapping_at, refuse_unknown
from gateway.settings.tag_keys import TagMaker
from gateway.settings.templates import TemplateError, expand_name
from gateway.settings.watch_keys import read_watch
from gateway.watching import WatchSpec

Drivers = Mapping[str, DriverSpec] | Callable[[str], DriverSpec]

CHANNEL_DEFAULTS = frozenset({"interval", "timeout", "silence_share", "probe", "offline_after"})


class Channels:
    """Reads the channels of a tree one after the other; ids of devices are unique over all of them."""

    def __init__(
        self,
        drivers: Drivers,
        profiles: Profiles,
        problems: Problems,
        *,
        base: Path,
        keep_unusable: bool,
    ) -> None:
        self._base = base
        self._held: dict[str, tuple[str, int, int]] = {}
        self._drivers = drivers
        self._profiles = profiles
        self._problems = problems
        self._keep_unusable = keep_unusable
        self._channels: dict[str, Origin] = {}
        self._devices: dict[str, Origin] = {}
        self.timezone = "UTC"
        """Of the gateway; daily totals begin anew at its midnight."""
        self.inventory = Inventory()
        self.specs: list[ChannelSpec] = []
        self.watch: list[WatchSpec] = []
        self.provisioned: Mapping[str, Mapping[str, Origin]] = {}
        """Devices that discovery brought in, by channel: where their keys stand."""
        self.accepted: list[tuple[str, str]] = []
        """Those of them that are there: (channel, device)."""

    def read(self, data: Any, origin: Origin, *, alone: bool) -> None:
        """Read one document. `alone`: it is the only one of its file, which then names the channel."""
        values = mapping_at(data, origin, self._problems, what="the file")
        if values is None:
            self.inventory.unsure = True
            return
        channel_id = self._id(values, origin, alone=alone)
        if not isinstance(values.get("driver"), str):
            known = ", ".join(self._drivers) if isinstance(self._drivers, Mapping) else "modbus"
            self._problems.at(origin.child("driver"), "a channel needs a `driver`", f"add `driver: {known}`")
            self.inventory.unsure = True
            return
        driver = self._driver(values["driver"], origin.child("driver"))
        if driver is None:
            self.inventory.unsure = True
            if self._keep_unusable and values.get("enabled") is not False:
                self.specs.append(ChannelSpec(channel_id, values["driver"], None, ()))
            return
        values = _with_files(values, self._base)
        shared = _Shared(self._profiles, self._problems, self.inventory, self.timezone)
        extra = self.provisioned.get(channel_id, {})
        reader = _Channel(channel_id, driver, values, origin, shared, extra)
        spec = reader.spec(self._devices)
        self.watch += reader.watch
        if spec is not None:
            self.accepted += [(channel_id, device.id) for device in spec.devices if device.id in extra]
        if spec is None:
            self.inventory.unsure = True
        else:
            self.specs.append(spec)
            if spec.enabled:
                self._check_endpoint(driver, spec, origin)

    def _check_endpoint(self, driver: DriverSpec, spec: ChannelSpec, origin: Origin) -> None:
        """What only so many channels may hold at once (a serial port, a device's few sockets) is not held by more."""
        try:
            endpoint = driver.endpoint(spec.settings)
        except Exception:  # settings that cannot be used: told by the driver's check
            return
        if endpoint is None:
            return
        other, held, most = self._held.get(endpoint.name, (spec.id, 0, 0))
        most = min((limit for limit in (most, endpoint.channels) if limit), default=0)
        self._held[endpoint.name] = (other, held + 1, most)
        if most and held + 1 > most:
            what = endpoint.name.partition(":")[2]
            message = f"{what} takes {most} channel{'s' if most > 1 else ''}, and channel `{other}` uses it too"
            self._problems.at(origin.child(endpoint.path), message, f"put these devices into channel `{other}`")

    def _id(self, values: dict[str, Any], origin: Origin, *, alone: bool) -> str:
        file = origin.document.file
        given = values.get("channel")
        if given is None and not alone:
            message = "a file with several channels names each of them"
            self._problems.at(origin, message, "add `channel: line2`")
            return ""
        channel_id = given if isinstance(given, str) else PurePosixPath(file).stem
        place = origin.child("channel") if given is not None else origin
        if not is_id(channel_id):
            hint = suggest_id(channel_id) if given is not None else "rename the file, or add `channel: line1`"
            self._problems.at(place, f"`{channel_id}` is not an id: {ID_RULE}", hint)
        elif channel_id in self._channels:
            other = self._channels[channel_id]
            message = f"there are two channels `{channel_id}`, the other in {other.document.place(other.path)[0]}"
            self._problems.at(place, message, f"set `channel: {channel_id}-2`")
        else:
            self._channels[channel_id] = origin
        return channel_id

    def _driver(self, name: str, origin: Origin) -> DriverSpec | None:
        try:
            return self._drivers[name] if isinstance(self._drivers, Mapping) else self._drivers(name)
        except KeyError:
            known = self._drivers if isinstance(self._drivers, Mapping) else ()
            self._problems.at(origin, f"there is no driver `{name}`", did_you_mean(name, known))
        except Exception as error:  # a third party's module may raise anything while it is imported
            if not self._keep_unusable:
                self._problems.at(origin, str(error) or f"driver `{name}` cannot be used", _near_driver(name))
        return None


def _with_files(values: dict[str, Any], base: Path) -> dict[str, Any]:
    """File names in `tls` start at the configuration folder, as those of an uplink do."""
    tls = values.get("tls")
    if not isinstance(tls, dict):
        return values
    return values | {
        "tls": {key: str(base / name) if isinstance(name, str) and name else name for key, name in tls.items()}
    }


def _near_driver(name: str) -> str:
    near = did_you_mean(name, ("modbus", "sim"))
    return near if near.startswith("did you mean") else ""


class _Shared(Struct, frozen=True):
    """What all channels of a tree have in common."""

    profiles: Profiles
    problems: Problems
    inventory: Inventory
    timezone: str


class _Channel:
    """One channel on its way to a ChannelSpec."""

    def __init__(
        self,
        channel_id: str,
        driver: DriverSpec,
        values: dict[str, Any],
        origin: Origin,
        shared: _Shared,
        extra: Mapping[str, Origin],
    ) -> None:
        self._id = channel_id
        self._extra = extra
        self.watch: list[WatchSpec] = []
        self._driver = driver
        self._origin = origin
        self._shared = shared
        self._profiles = shared.profiles
        self._problems = shared.problems
        self._what = f"channel `{channel_id}`"
        self._values = values
        written = values.get("defaults")
        self._defaults: dict[str, Any] = written if isinstance(written, dict) else {}
        self._layers = Layers(self._defaults_for("channel"), origin.child("defaults")).over(values, origin)

    def _level(self, key: str) -> str:
        """Where a default belongs: the outermost level that knows it; empty when none does."""
        driver = self._driver
        if key in CHANNEL_DEFAULTS or key in fields_of(driver.channel):
            return "channel"
        if key in fields_of(driver.device):
            return "device"
        return "tag" if key in fields_of(driver.tag) or key in TAG_DEFAULTS else ""

    def _defaults_for(self, level: str) -> dict[str, Any]:
        return {key: value for key, value in self._defaults.items() if self._level(key) == level}

    def spec(self, taken: dict[str, Origin]) -> ChannelSpec | None:
        kernel, own = fields_of(ChannelKeys), fields_of(self._driver.channel)
        words = {key: text for key, text in reserved.CHANNEL.items() if key not in own}
        known = {*kernel, *own}
        refuse_unknown(Layers(self._values, self._origin), known, self._problems, what=self._what, reserved=words)
        self._check_defaults()
        values = self._layers.values
        mine = {key: value for key, value in values.items() if key in kernel}
        keys = to_struct(ChannelKeys, mine, self._layers, self._problems, where=self._what)
        theirs = {key: value for key, value in values.items() if key in own}
        before = len(self._problems)
        settings = to_struct(self._driver.channel, theirs, self._layers, self._problems, where=self._what)
        partly = len(self._problems) > before
        if keys is None:
            return None
        self._check(keys)
        groups = read_groups(keys.groups, self._layers, self._problems)
        device = {*fields_of(DeviceKeys), *fields_of(self._driver.device)}
        self.watch = read_watch(keys.watch, self._layers, self._profiles, device, self._id, self._problems)
        file = self._origin.document.file
        tag_maker = TagMaker(self._driver, groups, file, self._problems, self._shared.timezone)
        devices, places = self._devices(keys, tag_maker, taken)
        if settings is None:
            return None
        spec = ChannelSpec(
            id=self._id,
            driver=self._driver.name,
            settings=settings,
            devices=tuple(devices),
            timeout_s=float(keys.timeout),
            silence_share=keys.silence_share,
            probe_s=float(keys.probe),
            offline_after=keys.offline_after,
            enabled=keys.enabled,
        )
        places.report(self._driver, spec, partly=partly)
        return spec

    def _check_defaults(self) -> None:
        known = {
            *CHANNEL_DEFAULTS,
            *TAG_DEFAULTS,
            *fields_of(self._driver.channel),
            *fields_of(self._driver.device),
            *fields_of(self._driver.tag),
        }
        place = self._origin.child("defaults")
        for key in self._defaults:
            if key not in known:
                message = f"unknown key `{key}` in `defaults`"
                if key in fields_of(ChannelKeys) or key in fields_of(TagKeys):
                    message = f"`{key}` cannot be a default"
                self._problems.at_key(place.child(key), message, did_you_mean(key, known))

    def _check(self, keys: ChannelKeys) -> None:
        check_interval(keys.interval, self._layers.origin("interval"), self._problems)
        for name, seconds, low, high in (("timeout", keys.timeout, 0.001, 300), ("probe", keys.probe, 0.1, 86400)):
            if not low <= seconds <= high:
                self._problems.at(self._layers.origin(name), f"`{name}` is {low:g}s to {high}s")
        if not keys.devices and "devices" not in self._values and not keys.watch:
            hint = "add `devices: {pump: {...}}`"
            self._problems.at(self._origin, f"{self._what} has no `devices`", hint)

    def _devices(
        self, keys: ChannelKeys, tag_maker: TagMaker, taken: dict[str, Origin]
    ) -> tuple[list[DeviceSpec], FaultPlaces]:
        places = FaultPlaces(self._layers, self._problems)
        device_defaults = (self._defaults_for("device"), self._origin.child("defaults"))
        tag_defaults = (self._defaults_for("tag"), self._origin.child("defaults"))
        maker = DeviceMaker(
            self._driver,
            self._profiles,
            tag_maker,
            device_defaults,
            tag_defaults,
            Schedule(float(keys.interval)),
            places,
            self._shared.inventory,
        )
        devices: list[DeviceSpec] = []
        for key, value in keys.devices.items():
            origin = self._layers.origin("devices", key)
            try:
                names = expand_name(key)
            except TemplateError as error:
                self._problems.at_key(origin, str(error))
                self._shared.inventory.unsure = True
                continue
            values = mapping_at(value, origin, self._problems, what=f"device `{key}`")
            for name, number in names:
                if not self._claim(name, origin, taken):
                    break
                device = None if values is None else maker.make(name, number, values, origin)
                if device is not None:
                    devices.append(device)
                else:
                    self._shared.inventory.add_broken(name)
        devices += self._accepted(maker, taken)
        return devices, places

    def _accepted(self, maker: DeviceMaker, taken: dict[str, Origin]) -> list[DeviceSpec]:
        """The devices that discovery brought in, after those that are written here."""
        found = []
        for name, origin in self._extra.items():
            value = origin.document.data
            for key in origin.path:
                value = value[key]
            values = mapping_at(value, origin, self._problems, what=f"device `{name}`")
            if values is None or not self._claim(name, origin, taken):
                continue
            device = maker.make(name, None, values, origin)
            if device is not None:
                found.append(device)
            else:
                self._shared.inventory.add_broken(name)
        return found

    def _claim(self, name: str, origin: Origin, taken: dict[str, Origin]) -> bool:
        if not is_id(name):
            self._problems.at_key(origin, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
            return False
        other = taken.get(name)
        if other is not None:
            where = other.where
            message = f"there are two devices `{name}`, the other in {where}"
            self._problems.at_key(origin, message, "ids of devices are unique over all channels: rename one")
            return False
        taken[name] = origin
        return True
