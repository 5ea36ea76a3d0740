"""What is wrong with an MQTT channel beyond the types of its settings. Never touches the network."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator

from drivers.mqtt.jsonpath import PathError, parse
from drivers.mqtt.point import Outlet, Point, PointError, below, outlet_of, points_of
from drivers.mqtt.presence import words_of
from drivers.mqtt.settings import ChannelSettings, DeviceSettings
from drivers.mqtt.topics import filter_fault, is_wild, share
from drivers.mqtt.values import TYPES
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, DeviceSpec, TagSpec
from gateway.mqttclient.address import parse_address
from gateway.transformfault import transform_fault

_TLS_KEYS = frozenset({"ca", "cert", "key"})


def check(channel: ChannelSpec) -> Iterable[Fault]:
    """All faults of a channel, in the order of its devices and tags."""
    settings: ChannelSettings = channel.settings
    yield from _channel_faults(settings)
    for device in channel.devices:
        yield from _device_faults(settings, device)


def _channel_faults(settings: ChannelSettings) -> Iterator[Fault]:
    try:
        address = parse_address(settings.url)
    except ValueError as error:
        yield Fault("url", str(error), "url: mqtt://192.0.2.10:1883")
    else:
        if settings.tls and not address.secure:
            yield Fault("tls", f"{address.scheme}:// is not encrypted", "url: mqtts://192.0.2.10:8883")
    for key in settings.tls or ():
        if key not in _TLS_KEYS:
            yield Fault("tls", f"unknown key `{key}` in `tls`", "ca, cert and key are known")
    if not 1 <= settings.receive_maximum <= 65_535:
        yield Fault("receive_maximum", f"receive_maximum {settings.receive_maximum} is outside 1 to 65535")
    for name, low, high in (("session", 0, 4_294_967_294), ("keepalive", 1, 65_535), ("patience", 0, 86_400)):
        if not low <= getattr(settings, name) <= high:
            yield Fault(name, f"`{name}` is {low} to {high} seconds")
    if not 1 <= settings.max_payload <= 64_000_000:
        yield Fault("max_payload", "max_payload is 1B to 64MB")
    if settings.password is not None and settings.username is None and settings.protocol != 5:
        yield Fault("password", "MQTT 3.1.1 has no password without a user name", "add `username`")
    for name, topic in (
        ("home_assistant", settings.discover.home_assistant),
        ("zigbee2mqtt", settings.discover.zigbee2mqtt),
        *(("topics", share(topic)) for topic in settings.discover.topics),
    ):
        fault = filter_fault(topic) if topic else ""
        if fault or (name != "topics" and is_wild(topic)):
            yield Fault(f"discover.{name}", fault or f"`{topic}`: a base topic has no wildcards")
    for topic in settings.discover.topics:
        if topic.split("/").count("{device}") != 1:
            hint = "plant/{device}/state"
            yield Fault("discover.topics", f"`{topic}`: one level {{device}} names the device", hint)


def _device_faults(settings: ChannelSettings, device: DeviceSpec) -> Iterator[Fault]:
    prefix = f"devices.{device.id}."
    own: DeviceSettings = device.settings
    if own.topic and (fault := filter_fault(own.topic)):
        yield Fault(f"{prefix}topic", fault)
        return
    for name, text in (("time", own.time.path if own.time else ""), ("items", own.items)):
        if text and (wrong := _path_fault(text)) is not None:
            yield Fault(f"{prefix}{name}", str(wrong), wrong.hint)
            return
    yield from _availability_faults(prefix, own)
    if own.away_after is not None and own.away_after <= 0:
        yield Fault(f"{prefix}away_after", "the silence after which a device is away is above 0", "away_after: 5m")
    for spec in device.tags:
        if spec.virtual is None:
            yield from _tag_faults(f"{prefix}tags.{spec.path}.", settings, device, spec)


def _availability_faults(prefix: str, own: DeviceSettings) -> Iterator[Fault]:
    for word in words_of(own):
        try:
            fault = filter_fault(below(own.topic, word.topic, "availability"))
        except PointError as error:
            fault = str(error)
        wrong = _path_fault(word.path) if word.path else None
        if fault or wrong is not None:
            yield Fault(f"{prefix}availability", fault or str(wrong), wrong.hint if wrong is not None else "")
        elif word.online == word.offline:
            yield Fault(f"{prefix}availability", "`online` and `offline` are the same word")


def _path_fault(text: str) -> PathError | None:
    try:
        parse(text)
    except PathError as error:
        return error
    return None


def _tag_faults(prefix: str, settings: ChannelSettings, device: DeviceSpec, spec: TagSpec) -> Iterator[Fault]:
    if spec.type not in TYPES:
        yield Fault(f"{prefix}type", f"a message has no {spec.type.value}", "a number, bool, string, bytes or object")
        return
    if spec.scale_from is not None:
        yield Fault(f"{prefix}scale_from", "messages carry values, not factors of them", "remove `scale_from`")
    try:
        points: list[Point] = [] if spec.access is Access.WRITE else points_of(settings, device, spec)
        outlet: Outlet | None = None if spec.access is Access.READ else outlet_of(settings, device, spec)
    except PointError as error:
        yield Fault(f"{prefix}{error.field}", str(error), error.hint)
        return
    forms = {part.format for part in (*points, outlet) if part is not None}
    if "cbor" in forms and importlib.util.find_spec("cbor2") is None:
        yield Fault(f"{prefix}format", "format cbor needs the cbor2 library", "pip install 'fieldpost[cbor]'")
    if text := transform_fault(spec):
        yield Fault(f"{prefix}{text.field}", text.message, text.hint)
