"""The `servers` of gateway.yaml: the kernel's keys, and those of the kind of server."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any

from gateway.errors import PermanentError
from gateway.model import ChannelSpec
from gateway.serving.contract import ServerConfig, ServerSpec
from gateway.serving.offering import Choice, is_writable, offers_of, tag_matches, takes_plant, unmatched
from gateway.serving.registry import ServerNotUsable
from gateway.settings.convert import fields_of, to_struct
from gateway.settings.ids import ID_RULE, did_you_mean, is_id, suggest_id
from gateway.settings.keys import ServerKeys, ServerSelectKeys
from gateway.settings.positions import Key, Layers, Origin, Problems
from gateway.settings.sections import mapping_at, refuse_unknown, section
from gateway.settings.types import ServerSettings

ServerKinds = Callable[[str], ServerSpec]

_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/]+):(?P<port>\d{1,5})")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]|\[\"([^\"]*)\"\]")


class Servers:
    """Reads all servers; what depends on the devices is checked once these are known."""

    def __init__(self, kinds: ServerKinds, problems: Problems, *, keep_unusable: bool = False) -> None:
        """`keep_unusable`: a server whose kind is installed and cannot be imported stays, without settings."""
        self._kinds = kinds
        self._problems = problems
        self._keep_unusable = keep_unusable
        self._read: list[tuple[ServerSettings, ServerSpec | None, Layers]] = []

    @property
    def settings(self) -> list[ServerSettings]:
        return [settings for settings, _, _ in self._read]

    def read(self, value: Any, origin: Origin) -> None:
        """Read the mapping of servers."""
        for name, below in (mapping_at(value, origin, self._problems, what="`servers`") or {}).items():
            place = origin.child(name)
            if not is_id(name):
                self._problems.at_key(place, f"`{name}` is not an id: {ID_RULE}", suggest_id(name))
            values = mapping_at(below, place, self._problems, what=f"server `{name}`")
            if values is not None:
                self._server(name, values, place)
        self._check_ports()

    def _server(self, name: str, values: dict[str, Any], place: Origin) -> None:
        problems, what, before = self._problems, f"server `{name}`", len(self._problems)
        layers = Layers(values, place)
        kernel = fields_of(ServerKeys)
        keys = to_struct(ServerKeys, {k: v for k, v in values.items() if k in kernel}, layers, problems, where=what)
        if keys is None:
            return
        spec = self._spec(keys.kind, place)
        select = section(ServerSelectKeys, keys.select, place.child("select"), problems, what="`select`")
        listen = self._listen(keys.listen, place.child("listen"))
        own: Any = None
        if spec is not None:
            known = fields_of(spec.settings)
            refuse_unknown(layers, {*kernel, *known}, problems, what=what)
            given = {key: value for key, value in values.items() if key in known}
            own = to_struct(spec.settings, given, layers, problems, where=what)
        if select is None or listen is None or (own is None and not (spec is None and self._keep_unusable)):
            return
        if len(problems) > before:
            spec = None  # what the kind says of the rest would only follow from that
        choice = Choice(tuple(select.devices), tuple(select.tags), tuple(keys.write))
        self._read.append((ServerSettings(name, keys.kind, *listen, choice, own), spec, layers))

    def _spec(self, kind: str, place: Origin) -> ServerSpec | None:
        try:
            return self._kinds(kind)
        except ServerNotUsable as error:
            if not (self._keep_unusable and error.installed):
                self._problems.at(place.child("kind"), str(error), f"pip install 'fieldpost[{kind}]'" * error.installed)
        except PermanentError as error:
            self._problems.at(place.child("kind"), str(error))
        return None

    def _listen(self, text: str, origin: Origin) -> tuple[str, int] | None:
        match = _LISTEN.fullmatch(text)
        if match is None:
            self._problems.at(origin, f"`{text}` is no address to listen on", "write 127.0.0.1:4840, or 0.0.0.0:4840")
            return None
        port = int(match["port"])
        if not 0 < port < 65536:
            self._problems.at(origin, f"there is no port {port}", "a port is 1 to 65535")
            return None
        return match["host"].strip("[]"), port

    def _check_ports(self) -> None:
        taken: list[ServerSettings] = []
        for settings, _, layers in self._read:
            other = next((each for each in taken if _clash(each, settings)), None)
            if other is not None:
                text = f"{_place(settings)} is where server `{other.name}` listens too"
                if other.host != settings.host:
                    text += f" (on {_place(other)})"
                self._problems.at(layers.origin("listen"), text, "choose another port")
            taken.append(settings)

    def check_against(self, channels: Iterable[ChannelSpec]) -> None:
        """What needs the devices: patterns that match nothing, tags that nobody can write, what the kind finds."""
        channels = tuple(channels)
        for settings, spec, layers in self._read:
            self._check_choice(settings.choice, channels, layers)
            if spec is not None:
                offers = offers_of(settings.choice, channels)
                config = ServerConfig(settings.name, settings.host, settings.port, settings.settings, offers)
                self._check_own(spec, config, layers)

    def _check_choice(self, choice: Choice, channels: tuple[ChannelSpec, ...], layers: Layers) -> None:
        devices = {device.id for channel in channels for device in channel.devices}
        for place, pattern in enumerate(choice.devices):
            if devices and not any(fnmatch.fnmatchcase(device, pattern) for device in devices):
                hint = did_you_mean(pattern, devices) if len(devices) <= 20 or "*" not in pattern else ""
                origin = layers.origin("select", "devices", place)
                self._problems.at(origin, f"`{pattern}` matches no device", hint)
        for keys, patterns in ((("select", "tags"), choice.tags), (("write",), choice.write)):
            for place in unmatched(patterns, channels) if devices else ():
                self._problems.at(layers.origin(*keys, place), f"`{patterns[place]}` matches no tag")
        self._check_writes(choice, channels, layers)

    def _check_writes(self, choice: Choice, channels: tuple[ChannelSpec, ...], layers: Layers) -> None:
        """A tag that is named in full and cannot be written, or is not offered, is a mistake; a pattern takes what it
        can.
        """
        offered = {offer.name: offer for offer in offers_of(choice, channels)}
        for place, pattern in enumerate(choice.write):
            origin = layers.origin("write", place)
            means = [
                (device.id, spec)
                for channel in channels
                for device in channel.devices
                for spec in device.tags
                if tag_matches(pattern, device.id, spec.path)
            ]
            able = [(device, spec) for device, spec in means if is_writable(spec)]
            if means and not able:
                self._problems.at(origin, f"`{pattern}` is read-only", "give the tag `access: rw`")
            elif able and not any(takes_plant(spec) for _, spec in able):
                if not set(pattern) & set("*?["):
                    only = " and ".join(able[0][1].write.allow)
                    text = f"`{pattern}` is not written by the plant: its `write.allow` is {only}"
                    self._problems.at(origin, text, "add `plant` to the tag's `write.allow`, or remove it here")
            elif able and not any(f"{device}.{spec.path}" in offered for device, spec in able):
                self._problems.at(origin, f"`{pattern}` is not offered by `select`", "add it to `select`")

    def _check_own(self, spec: ServerSpec, config: ServerConfig, layers: Layers) -> None:
        try:
            for fault in spec.check(config):
                origin, written = _find(fault.path, layers)
                report = self._problems.at if written else self._problems.at_key
                report(origin, fault.message, fault.hint)
        except Exception as error:  # a kind of a third party must not take the loader down
            text = f"kind `{spec.name}` failed while it checked this server: {type(error).__name__}: {error}"
            self._problems.at(layers.origin(), text, "report this to its author")


def _place(settings: ServerSettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def _clash(one: ServerSettings, other: ServerSettings) -> bool:
    """Whether two servers cannot both listen: the same port, and the same address or one that means all."""
    if one.port != other.port:
        return False
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (one.host, other.host)}
    if len(hosts) == 1 or "::" in hosts:
        return True
    return "0.0.0.0" in hosts and not any(":" in host for host in hosts)  # noqa: S104 - not bound here


def _find(path: str, layers: Layers) -> tuple[Origin, bool]:
    """The place of a fault's path, and whether the field was written there. `map["pump.speed"].address` for keys with
    dots in them.
    """
    steps: list[Key] = [int(index) if index else name or quoted for name, index, quoted in _STEP.findall(path)]
    if steps and steps[0] in layers.values:
        return layers.origin(*steps), True
    return layers.origin(), False
