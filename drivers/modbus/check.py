"""What is wrong with a Modbus channel beyond the types of its settings. Never touches the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drivers.modbus.address import Address, AddressError, Table, parse_range
from drivers.modbus.bustime import interval_faults
from drivers.modbus.point import Limits, Point, PointError, limits_of, point_of
from drivers.modbus.sets import units_of
from drivers.modbus.settings import ChannelSettings, DeviceSettings
from drivers.modbus.transports import Line, place_of
from drivers.modbus.words import FOUR, HALVES, OrderError
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, DeviceSpec, TagSpec, ValueType
from gateway.transformfault import transform_fault

MAX_REGISTERS = 125
MAX_BITS = 2000
BROADCAST = 0


def check(channel: ChannelSpec) -> Iterable[Fault]:
    """All faults of a channel, in the order of its devices and tags."""
    settings: ChannelSettings = channel.settings
    yield from _channel_faults(channel, settings)
    for device in channel.devices:
        yield from _device_faults(settings, device)


def _channel_faults(channel: ChannelSpec, settings: ChannelSettings) -> Iterator[Fault]:
    try:
        place = place_of(settings)
    except PointError as err:
        yield Fault(err.field, str(err), err.hint)
    else:
        if isinstance(place, Line):
            yield from interval_faults(channel, place)
    if settings.connections is not None and settings.connections < 1:
        hint = "leave `connections` out when nobody knows"
        yield Fault("connections", "a device takes at least one connection", hint)
    yield from _level_faults("", settings)
    yield from _forbidden_faults("", settings, settings.address_base)


def _forbidden_faults(prefix: str, settings: ChannelSettings | DeviceSettings, base: int) -> Iterator[Fault]:
    """Ranges that cannot be read, where they are written."""
    for text in settings.forbidden:
        try:
            parse_range(text, base)
        except AddressError as err:
            yield Fault(f"{prefix}forbidden", str(err), err.hint)


def _level_faults(prefix: str, settings: ChannelSettings | DeviceSettings) -> Iterator[Fault]:
    """Faults of the options that channel and device share."""
    for field, low, high in (
        ("max_registers", 1, MAX_REGISTERS),
        ("max_bits", 1, MAX_BITS),
        ("max_gap", 0, MAX_REGISTERS),
    ):
        value = getattr(settings, field)
        if value is not None and not low <= value <= high:
            yield Fault(f"{prefix}{field}", f"{field} {value} is outside {low} to {high}", f"{field}: {high}")
    if settings.word_order is not None and settings.word_order.upper() not in FOUR:
        yield Fault(
            f"{prefix}word_order",
            f"word order {settings.word_order!r} cannot hold for tags of every size",
            "ABCD, BADC, CDAB or DCBA; other letters at the tag",
        )


def _device_faults(settings: ChannelSettings, device: DeviceSpec) -> Iterator[Fault]:
    prefix = f"devices.{device.id}."
    unit: DeviceSettings = device.settings
    yield from _level_faults(prefix, unit)
    if not BROADCAST <= unit.unit_id <= 255:
        yield Fault(f"{prefix}unit_id", f"unit_id {unit.unit_id} is outside 0 to 255", "unit_id: 1")
    base = settings.address_base if unit.address_base is None else unit.address_base
    yield from _forbidden_faults(prefix, unit, base)
    try:
        limits = limits_of(settings, unit)
    except AddressError:  # told above, or of the channel
        return
    found = False
    for spec in device.tags:
        for fault in _tag_faults(f"{prefix}tags.{spec.path}.", settings, device, spec, limits):
            found = True
            yield fault
    if not found:
        yield from _set_faults(prefix, settings, device, limits)


def _set_faults(prefix: str, settings: ChannelSettings, device: DeviceSpec, limits: Limits) -> Iterator[Fault]:
    """What keeps tags that belong together from being read together."""
    units = units_of(device.tags)
    sets: dict[str, list[TagSpec]] = {}
    for spec in device.tags:
        if spec.path in units:
            sets.setdefault(units[spec.path], []).append(spec)
    for specs in sets.values():
        points = [point_of(settings, device, spec) for spec in specs]
        first, last = min(p.address.offset for p in points), max(p.end for p in points)
        table, cap = points[0].address.table, limits.bits if points[0].address.table.is_bits else limits.registers
        spec = next((s for s in specs if s.coherent), specs[0])
        spec = next((s for s in specs if s.scale_from is not None), spec)
        path = f"{prefix}tags.{spec.path}.{'scale_from' if spec.scale_from is not None else 'coherent'}"
        names = ", ".join(each.path for each in specs)
        if len({p.address.table for p in points}) > 1:
            yield Fault(path, f"{names} lie in different tables and cannot be read together")
        elif len({each.schedule or device.schedule for each in specs}) > 1:
            yield Fault(path, f"{names} are read at different times", "give them the same `group` or `interval`")
        elif last - first > cap:
            yield Fault(path, f"{names} span {last - first}, and one request brings at most {cap}")
        else:
            for banned in limits.forbidden:
                if banned.table is table and banned.overlaps(first, last):
                    yield Fault(path, f"between {names} lies {banned}, which is forbidden")


def _tag_faults(
    prefix: str, settings: ChannelSettings, device: DeviceSpec, spec: TagSpec, limits: Limits
) -> Iterator[Fault]:
    try:
        point = point_of(settings, device, spec)
    except AddressError as err:
        yield Fault(f"{prefix}address", str(err), err.hint)
        return
    except OrderError as err:
        yield Fault(f"{prefix}word_order", str(err), err.hint)
        return
    except PointError as err:
        yield Fault(f"{prefix}{err.field}", str(err), err.hint)
        return
    yield from _type_faults(prefix, spec, point)
    yield from _range_faults(prefix, point, limits)
    if spec.access is not Access.READ:
        yield from _write_faults(prefix, spec, point, device.settings)
    if text := transform_fault(spec, parts=_writes_parts(spec, point)):
        yield Fault(f"{prefix}{text.field}", text.message, text.hint)


def _writes_parts(spec: TagSpec, point: Point) -> bool:
    """Whether some bits of the raw value can be written alone: read, changed, written."""
    return not point.address.table.is_bits and point.address.bit is None and spec.type not in HALVES


def _type_faults(prefix: str, spec: TagSpec, point: Point) -> Iterator[Fault]:
    address = point.address
    if address.table.is_bits and spec.type is not ValueType.BOOL and not point.is_packed:
        hint = f"type: bool, or {_register_hint(spec, address)}"
        yield Fault(f"{prefix}type", f"{address} is one bit and cannot hold a {spec.type.value}", hint)
    elif address.half and spec.type not in HALVES:
        hint = f"type: uint8, or address {Address(address.table, address.offset).short}"
        yield Fault(f"{prefix}type", f"{address} is one byte and cannot hold a {spec.type.value}", hint)
    if address.bit is not None and spec.type is not ValueType.BOOL:
        hint = f"type: bool, or address {Address(address.table, address.offset).short}"
        yield Fault(f"{prefix}type", f"{address} is one bit and cannot hold a {spec.type.value}", hint)


def _register_hint(spec: TagSpec, address: Address) -> str:
    """A bare number such as 100 is the classic form of a coil; with a number's type a register was meant."""
    written = spec.source.address
    if isinstance(written, int) or str(written).isdigit():
        return f"address {Address(Table.HOLDING, int(written))}"
    return f"address {Address(Table.HOLDING, address.offset)}"


def _range_faults(prefix: str, point: Point, limits: Limits) -> Iterator[Fault]:
    address = point.address
    for banned in limits.forbidden:
        if banned.table is address.table and banned.overlaps(address.offset, point.end):
            yield Fault(f"{prefix}address", f"{address} lies in the forbidden range {banned}")
    if address.table.is_bits and point.count > limits.bits:
        message = f"{address} needs {point.count} bits in one request, max_bits allows {limits.bits}"
        yield Fault(f"{prefix}address", message, f"max_bits: {point.count}")
    if not address.table.is_bits and point.count > limits.registers:
        message = f"{address} needs {point.count} registers in one request, max_registers allows {limits.registers}"
        yield Fault(f"{prefix}address", message, f"max_registers: {point.count}")


def _write_faults(prefix: str, spec: TagSpec, point: Point, unit: DeviceSettings) -> Iterator[Fault]:
    address = point.address
    if not address.table.is_writable:
        other = Table.HOLDING if address.table is Table.INPUT else Table.COIL
        hint = f"access: r, or address {Address(other, address.offset)}"
        yield Fault(f"{prefix}access", f"{address} cannot be written: the table is read-only", hint)
    if unit.unit_id == BROADCAST:
        yield Fault(f"{prefix}access", "unit_id 0 is the broadcast address and is never written", "unit_id: 1")
    if point.write_with == "single" and point.count > 1:
        what = "bit" if point.is_packed else "register"
        message = f"write_with single writes one {what}, {address} as {spec.type.value} has {point.count}"
        yield Fault(f"{prefix}write_with", message, "write_with: auto")
