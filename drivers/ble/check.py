"""What is wrong with a Bluetooth channel beyond the types of its settings. Never touches the radio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from drivers.ble.address import Address, AddressError, InAdvert, InGatt, Parsed, Radio, address_of, frame_of
from drivers.ble.advert import mac_of
from drivers.ble.fields import TEXTS, Field, width
from drivers.ble.match import matcher_of
from drivers.ble.settings import ChannelSettings, DeviceSettings
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, DeviceSpec, TagSpec, ValueType
from gateway.transform import RAW
from gateway.transformfault import transform_fault

MOST_CONNECTIONS = 20
_ADAPTER = re.compile(r"hci\d{1,2}\Z")
_KEY = re.compile(r"[0-9a-fA-F]{32}\Z")
_EXAMPLE = 'address: "C4:7C:8D:6A:12:34"'


def check(channel: ChannelSpec) -> Iterable[Fault]:
    """All faults of a channel, in the order of its devices and tags."""
    settings: ChannelSettings = channel.settings
    yield from _channel_faults(settings)
    seen: dict[str, str] = {}
    for device in channel.devices:
        yield from _device_faults(device, seen)
    kept = [device.id for device in channel.devices if device.enabled and keeps(device)]
    polled = [
        device for device in channel.devices if device.enabled and _wants_connection(device) and not keeps(device)
    ]
    if len(kept) + (1 if polled else 0) > settings.connections:
        text = f"{len(kept)} devices keep a connection" + (" and others are polled" if polled else "")
        hint = f"connections: {len(kept) + (1 if polled else 0)}, as far as the adapter can"
        yield Fault("connections", f"{text}; the adapter has {settings.connections} connections", hint)


def keeps(device: DeviceSpec) -> bool:
    """Whether a device needs its connection all the time, by its settings or because it notifies."""
    settings: DeviceSettings = device.settings
    notifies = any(tag.source is not None and tag.source.notify for tag in device.tags)
    return settings.kind == "gatt" and (settings.connect == "keep" or (settings.connect == "auto" and notifies))


def _wants_connection(device: DeviceSpec) -> bool:
    return bool(device.settings.kind == "gatt")


def _channel_faults(settings: ChannelSettings) -> Iterator[Fault]:
    adapter = settings.adapter
    if adapter and not _ADAPTER.match(adapter):
        try:
            mac_of(adapter)
        except ValueError:
            yield Fault("adapter", f"{adapter!r} is no adapter", "adapter: hci0, or the adapter's own address")
    if not 1 <= settings.connections <= MOST_CONNECTIONS:
        text = f"connections {settings.connections} is outside 1 to {MOST_CONNECTIONS}"
        yield Fault("connections", text, "connections: 3")
    if not 1 <= settings.connect_timeout <= 120:
        yield Fault("connect_timeout", "connect_timeout is 1s to 2min", "connect_timeout: 20s")
    yield from _away_fault("", settings)


def _away_fault(prefix: str, settings: ChannelSettings | DeviceSettings) -> Iterator[Fault]:
    for key, after in (("away_after", settings.away_after), ("stale_after", settings.stale_after)):
        if after is not None and after < 1:
            yield Fault(f"{prefix}{key}", f"{key} is at least 1s", f"{key}: 5min")


def _device_faults(device: DeviceSpec, seen: dict[str, str]) -> Iterator[Fault]:
    prefix = f"devices.{device.id}."
    settings: DeviceSettings = device.settings
    yield from _identity_faults(prefix, device, seen)
    yield from _away_fault(prefix, settings)
    if settings.key:
        if settings.kind != "bthome":
            yield Fault(f"{prefix}key", "only BTHome devices have a bind key", "kind: bthome")
        elif not _KEY.match(settings.key):
            yield Fault(f"{prefix}key", "a bind key has 32 hex digits", 'key: "${credential:NAME}"')
    for name, frame in settings.frames.items():
        try:
            frame_of(frame)
        except AddressError as error:
            yield Fault(f"{prefix}frames.{name}", str(error), error.hint)
    for spec in device.tags:
        if spec.source is not None:
            yield from _tag_faults(f"{prefix}tags.{spec.path}.", settings, spec)


def _identity_faults(prefix: str, device: DeviceSpec, seen: dict[str, str]) -> Iterator[Fault]:
    settings: DeviceSettings = device.settings
    if settings.match is not None:
        if settings.address or settings.kind == "gatt":
            yield Fault(
                f"{prefix}match", "a device has an address or a match; one to connect to has an address", _EXAMPLE
            )
        try:
            matcher_of(settings.match)
        except AddressError as error:
            yield Fault(f"{prefix}match", str(error), error.hint)
        return
    if not settings.address:
        yield Fault(f"{prefix}address", "the device has no address", _EXAMPLE)
        return
    try:
        mac = mac_of(settings.address)
    except ValueError as error:
        yield Fault(f"{prefix}address", str(error), _EXAMPLE)
        return
    if mac in seen:
        yield Fault(f"{prefix}address", f"{mac} is device `{seen[mac]}` already")
    seen[mac] = device.id


def _tag_faults(prefix: str, settings: DeviceSettings, spec: TagSpec) -> Iterator[Fault]:
    try:
        address = address_of(spec, settings.kind, settings.frames)
    except AddressError as error:
        yield Fault(f"{prefix}address", str(error), error.hint)
        return
    if isinstance(address, InGatt) and settings.kind != "gatt":
        yield Fault(f"{prefix}address", "a characteristic is read over a connection", "kind: gatt at the device")
    if isinstance(address, Parsed) and settings.kind != address.library:
        yield Fault(f"{prefix}address", f"the device is no {address.library}", f"kind: {address.library} at the device")
    if spec.source.notify and not isinstance(address, InGatt):
        yield Fault(f"{prefix}notify", "adverts come by themselves", "remove `notify`")
    yield from _access_faults(prefix, spec, address)
    yield from _type_faults(prefix, spec, address)
    if spec.scale_from is not None:
        yield Fault(f"{prefix}scale_from", "no factor comes with the same advert or characteristic", "scale: 0.1")
    if text := transform_fault(spec):
        yield Fault(f"{prefix}{text.field}", text.message, text.hint)


def _access_faults(prefix: str, spec: TagSpec, address: Address) -> Iterator[Fault]:
    if spec.access is Access.READ:
        return
    if not isinstance(address, InGatt):
        yield Fault(f"{prefix}access", "adverts cannot be written", "access: r")
    elif address.field.kind in {"url", "uuid", "sfloat16", "mfloat32"}:
        yield Fault(f"{prefix}access", f"a field of type {address.field.kind} cannot be written", "access: r")


def _type_faults(prefix: str, spec: TagSpec, address: Address) -> Iterator[Fault]:
    if isinstance(address, Radio):
        wanted = {"name": {ValueType.STRING}, "last_seen": {ValueType.INT64, ValueType.UINT64}}.get(address.what)
        if wanted is None:
            wanted = {ValueType.INT16, ValueType.INT32, ValueType.FLOAT32, ValueType.FLOAT64}
        if spec.type not in wanted:
            yield Fault(f"{prefix}type", f"{address.what} is no {spec.type.value}", f"type: {min(wanted).value}")
    elif isinstance(address, InAdvert | InGatt):
        yield from _field_faults(prefix, spec, address.field)


def _field_faults(prefix: str, spec: TagSpec, field: Field) -> Iterator[Fault]:
    raw, span = RAW[spec.type], width(field)
    fits: bool
    if field.kind in TEXTS:
        fits = spec.type is (ValueType.BYTES if field.kind == "bytes" else ValueType.STRING)
        hint = f"type: {'bytes' if field.kind == 'bytes' else 'string'}"
    elif field.kind == "bool":
        fits, hint = spec.type is ValueType.BOOL, "type: bool"
    elif span is None:
        fits, hint = raw.is_float, "type: float64"
    else:
        fits = raw.is_float or (raw.bits > 1 and raw.most is None and raw.low <= span[0] and span[1] <= raw.high)
        bits = {40: 48, 56: 64}.get(field.size * 8, field.size * 8)  # a tag has no type of these widths
        hint = f"type: {'int' if span[0] < 0 else 'uint'}{bits}"
    if not fits:
        yield Fault(f"{prefix}type", f"a field of type {field.kind} does not fit {spec.type.value}", hint)
