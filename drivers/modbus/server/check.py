"""What is wrong with a Modbus server beyond the types of its settings. Never touches the network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from drivers.modbus.address import LAST_OFFSET, Address, AddressError, parse_address
from drivers.modbus.server.layout import STATUS_HEAD
from drivers.modbus.server.points import Form, PointFault, form_of
from drivers.modbus.server.settings import PlaceKeys, ServerSettings
from gateway.serving.contract import OBJECT, Fault, Offer, ServerConfig

_TLS = ("cert", "key", "ca")


def check(config: ServerConfig) -> Iterable[Fault]:
    """All faults of a server."""
    settings: ServerSettings = config.settings
    yield from _access_faults(settings)
    try:
        status = status_of(settings)
    except PointFault as error:
        yield Fault("status", str(error), error.hint)
        yield from _map_faults(settings, {offer.name: offer for offer in config.offers}, None, 0)
        return
    tags = sum(offer.kind != OBJECT or offer.name in settings.map for offer in config.offers)
    end = status.offset + STATUS_HEAD + tags
    if end > LAST_OFFSET + 1:
        room = LAST_OFFSET + 1 - STATUS_HEAD - tags
        text = f"{STATUS_HEAD + tags} status registers from {status.short} on end beyond the table"
        hint = f"write {status.table.value}/{room} or less, better with room for more tags" if room >= 0 else ""
        yield Fault("status", text, hint)
    yield from _map_faults(settings, {offer.name: offer for offer in config.offers}, status, end)


def status_of(settings: ServerSettings) -> Address:
    """Where the status registers begin. Raises PointFault."""
    try:
        address = parse_address(settings.status)
    except AddressError as error:
        raise PointFault(str(error), error.hint) from None
    if address.table.is_bits or address.bit is not None:
        raise PointFault(f"{address.short} is no register", "write input/60000")
    return address


def place_keys(value: object) -> PlaceKeys:
    """An entry of `map`: an address alone, or a mapping. Raises PointFault."""
    try:
        return msgspec.convert(value if isinstance(value, dict) else {"address": value}, PlaceKeys)
    except msgspec.ValidationError as error:
        text = str(error)
        raise PointFault(f"this is no place: {text[0].lower()}{text[1:]}", "write holding/100") from None


def forms_of(settings: ServerSettings, offers: Iterable[Offer]) -> list[tuple[int, Offer, Form]]:
    """How each tag is served; objects, for which Modbus has nothing, are left out. Raises PointFault."""
    found = []
    for place, offer in enumerate(offers):
        if offer.kind == OBJECT and offer.name not in settings.map:
            continue
        written = settings.map.get(offer.name)
        found.append((place, offer, form_of(offer, settings, None if written is None else place_keys(written))))
    return found


def _map_faults(
    settings: ServerSettings, offers: dict[str, Offer], status: Address | None, status_end: int
) -> Iterator[Fault]:
    taken: list[tuple[Address, int, str]] = []
    for name, written in settings.map.items():
        path = f'map["{name}"]'
        offer = offers.get(name)
        if offer is None:
            yield Fault(path, f"`{name}` is not among the tags of `select`", "add it to `select`, or remove it here")
            continue
        try:
            form = form_of(offer, settings, place_keys(written))
        except PointFault as error:
            yield Fault(path, str(error), error.hint)
            continue
        address = form.address
        assert address is not None
        end = address.offset + form.count
        if end > LAST_OFFSET + 1:
            yield Fault(path, f"{address.short} with {form.count} registers ends beyond the table")
        if offer.writable and not address.table.is_writable:
            yield Fault(path, f"`{name}` may be written, and {address.short} can only be read", "write holding or coil")
        is_near = status is not None and address.table is status.table
        if status is not None and is_near and address.offset < status_end and status.offset < end:
            span = f"{status.short} to {status.table.value}/{status_end - 1}"
            yield Fault(path, f"{address.short} is among the status registers, {span}", "choose another address")
        for other, other_end, of in taken:
            if other.table is address.table and other.offset < end and address.offset < other_end:
                yield Fault(path, f"{address.short} is where `{of}` stands", "choose another address")
        taken.append((address, end, name))


def _access_faults(settings: ServerSettings) -> Iterator[Fault]:
    for place, text in enumerate(settings.clients):
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            yield Fault(f"clients[{place}]", f"`{text}` is no network: {error}", "write 192.0.2.0/24 or 192.0.2.7")
    if settings.tls is None:
        return
    for key in settings.tls:
        if key not in _TLS:
            yield Fault(f"tls.{key}", f"unknown key `{key}` in `tls`", f"known: {', '.join(_TLS)}")
    for key in ("cert", "key"):
        if key not in settings.tls:
            yield Fault("tls", f"`tls` needs `{key}`", f"add `{key}: ...`")
