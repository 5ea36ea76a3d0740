"""Modbus devices and visitors of KubeEdge (mappers-go, modbus) as channels and tags of our driver."""

from __future__ import annotations

from typing import Any

from gateway.importing.kubeedge.bindings import Binding, Bound, Connection, Context, id_from, plain
from gateway.importing.kubeedge.kept import keep_rest
from gateway.importing.kubeedge.model import Property, bound, kind_of
from gateway.importing.views import View

_TABLES = {
    "coilregister": "coil",
    "discreteinputregister": "discrete",
    "holdingregister": "holding",
    "inputregister": "input",
}
_TABLE_NAMES = "CoilRegister, DiscreteInputRegister, InputRegister, HoldingRegister"
_BITS = {"coil", "discrete"}
_READ_ONLY = {"discrete", "input"}
_WHOLE = {1: "16", 2: "32", 3: "48", 4: "64"}
_FLOATS = {2: "float32", 4: "float64"}
_REVERSED = {1: "AB", 2: "CDAB", 3: "EFCDAB", 4: "GHEFCDAB"}
_LAST, _MOST_TEXT, _CLASSIC_FROM = 65535, 125, 10_000
_PARITY = {"even": "E", "odd": "O", "none": "N", "e": "E", "o": "O", "n": "N"}
_DEVICE_KEYS = {
    "communicateMode", "ip", "port", "slaveID", "serialPort", "baudRate", "dataBits", "parity", "stopBits",
    "serialType", "tcp", "com", "customizedValues",
}  # fmt: skip
_VISITOR_KEYS = {
    "register", "offset", "limit", "scale", "isSwap", "isRegisterSwap", "dataType", "max", "min", "signed",
}  # fmt: skip


def _connect(context: Context) -> Connection | None:
    config, common = context.config, context.common
    places = [view for view in (config, common) if view is not None]
    com = next((found for view in places if (found := view.get("com")) is not None), None)
    tcp = next((found for view in places if (found := view.get("tcp")) is not None), None)
    values = next((found for view in places if (found := view.get("customizedValues")) is not None), None)
    unit = _unit(context)
    for view in places:
        keep_rest(view, _DEVICE_KEYS, context.meta)
    serial = com if com is not None else config
    if com is not None and tcp is not None:
        context.draft.report.ignored(tcp.place, "`com` is there as well, and wins")
        _ = tcp.data
    if com is not None or (tcp is None and _is_serial(context)):
        return _serial(context, serial, values, unit)
    return _network(context, tcp if tcp is not None else config, unit)


def _is_serial(context: Context) -> bool:
    config = context.config
    mode = config.get("communicateMode") if config is not None else None
    if mode is not None:
        word = mode.text.strip().upper()
        if word not in {"TCP", "RTU"}:
            mode.report.error(mode.place, f"`{mode.text[:40]}` is no mode", "TCP or RTU")
        return word == "RTU"
    return config is not None and config.get("serialPort") is not None


def _unit(context: Context) -> int:
    found = context.config.get("slaveID") if context.config is not None else None
    if found is None:
        context.draft.report.guessed(context.view.place, "no `slaveID`: unit 1 is taken")
        return 1
    number = found.as_whole(0, 255)
    return 1 if number is None else number


def _network(context: Context, config: View | None, unit: int) -> Connection | None:
    report = context.draft.report
    ip = config.get("ip") if config is not None else None
    if config is None or ip is None:
        report.error((config or context.view).place, f"device `{context.name}` has no `ip`", 'ip: "192.0.2.10"')
        return None
    host, found = plain(ip), config.get("port")
    if found is None:
        report.guessed(config.place, "no `port`: 502 is taken")
    port = 502 if found is None else found.as_whole(1, 65535)
    if host is None or port is None:
        return None
    shown = f"[{host}]" if ":" in host else host
    data = {"driver": "modbus", "url": f"tcp://{shown}:{port}"}
    return Connection(id_from("modbus", host, port), data, {"unit_id": unit})


def _serial(context: Context, config: View | None, values: View | None, unit: int) -> Connection | None:
    report = context.draft.report
    found = config.get("serialPort") if config is not None else None
    if config is None or found is None:
        place = (config or context.view).place
        report.error(place, f"device `{context.name}` has no `serialPort`", "serialPort: /dev/ttyUSB0")
        return None
    port, line = plain(found), _line(config)
    if port is None or line is None:
        return None
    serial: dict[str, Any] = {"port": port, "line": line}
    kind = next((view.get("serialType") for view in (values, config) if view is not None), None)
    if kind is not None and kind.text.strip().upper() == "RS485":
        serial["rs485"] = True
        report.changed(kind.place, "RS485: the kernel switches the direction; remove `rs485` if the adapter does it")
    if values is not None:
        keep_rest(values, {"serialType"}, context.meta)
    data = {"driver": "modbus", "serial": serial}
    return Connection(id_from("modbus", port.rpartition("/")[2]), data, {"unit_id": unit}, shares=False)


def _line(config: View) -> str | None:
    """The line as our driver writes it: 9600-8E1."""
    report = config.report
    baud, bits, stop, parity = (config.get(key) for key in ("baudRate", "dataBits", "stopBits", "parity"))
    missing = [
        name
        for name, view in (("baudRate", baud), ("dataBits", bits), ("parity", parity), ("stopBits", stop))
        if view is None
    ]
    if missing:
        report.guessed(config.place, f"no {', '.join(missing)}: the usual 9600-8E1 is taken there")
    letter = "E" if parity is None else _PARITY.get(parity.text.strip().lower())
    if parity is not None and letter is None:
        report.error(parity.place, f"`{parity.text[:40]}` is no parity", "even, odd or none")
    numbers = [
        default if view is None else view.as_whole(low, high)
        for view, default, low, high in ((baud, 9600, 50, 4_000_000), (bits, 8, 7, 8), (stop, 1, 1, 2))
    ]
    if letter is None or None in numbers:
        return None
    return f"{numbers[0]}-{numbers[1]}{letter}{numbers[2]}"


def _bind(prop: Property, config: View | None, place: View, context: Context) -> Bound | None:
    """The keys of a tag from its visitor."""
    if config is None:
        hint = "register: HoldingRegister, offset: 0, limit: 1"
        context.draft.report.error(place.place, f"the visitor of `{prop.name}` has no configuration", hint)
        return None
    table, offset = _table(config), _offset(config)
    limit = _limit(config)
    kind = _kind(config, prop)
    meta: dict[str, str] = {}
    keep_rest(config, _VISITOR_KEYS, meta)
    found = Bound({}, low=bound(config, "min"), high=bound(config, "max"), meta=meta)
    if table is None or offset is None or limit is None or kind is None:
        for key in _VISITOR_KEYS:
            config.get(key)
        return None
    found.keys["address"] = f"{table}/{_shown(offset)}"
    found.writable = table not in _READ_ONLY
    made = _bits(config, kind, table, offset, limit) if table in _BITS else _registers(config, kind, limit)
    if made is None:
        return None
    found.keys |= made
    return found


def _shown(offset: int) -> str:
    """An offset as our driver reads it: great ones could be taken for classic numbers."""
    return str(offset) if offset < _CLASSIC_FROM else hex(offset)


def _table(config: View) -> str | None:
    found = config.get("register")
    if found is None:
        config.report.error(config.place, "the visitor names no `register`", f"register: one of {_TABLE_NAMES}")
        return None
    table = _TABLES.get(found.text.strip().lower())
    if table is None:
        config.report.error(found.place, f"`{found.text[:40]}` is no register", f"known: {_TABLE_NAMES}")
    return table


def _offset(config: View) -> int | None:
    found = config.get("offset")
    return 0 if found is None else found.as_whole(0, _LAST)


def _limit(config: View) -> int | None:
    found = config.get("limit")
    return 1 if found is None else found.as_whole(1, 2000)


def _kind(config: View, prop: Property) -> str | None:
    found = config.get("dataType")
    if found is not None:
        return kind_of(found)
    if not prop.kind:
        config.report.error(config.place, f"nothing says the type of `{prop.name}`", "dataType: int")
        return None
    return prop.kind


def _bits(config: View, kind: str, table: str, offset: int, limit: int) -> dict[str, Any] | None:
    """Coils and discrete inputs: swaps and scale mean nothing there. An `int` stays a number, 0 and 1 for one coil."""
    for key in ("isSwap", "isRegisterSwap"):
        swap = config.get(key)
        if swap is not None and swap.as_flag():
            config.report.ignored(swap.place, f"`{key}` has no effect on coils")
    scale = config.get("scale")
    if scale is not None and scale.as_number() not in {None, 0, 1}:
        config.report.ignored(scale.place, "`scale` has no effect on coils")
    config.get("signed")
    if kind == "boolean" and limit == 1:
        return {"type": "bool"}
    bits = next((bits for bits in (8, 16, 32, 64) if bits >= limit), 0)
    if kind != "int" or not bits or offset + limit > _LAST + 1:
        found = config.get("limit")
        place = config.place if found is None else found.place
        config.report.error(place, f"{limit} coils make no {kind}", "an int of at most 64 coils, or a boolean of one")
        return None
    order = {"word_order": "DCBA"} if limit == bits > 8 else {}
    return {"address": f"{table}/{_shown(offset)}-{_shown(offset + limit - 1)}", "type": f"uint{bits}"} | order


def _registers(config: View, kind: str, limit: int) -> dict[str, Any] | None:
    keys = _text(config, kind, limit) if kind in {"string", "bytes"} else _number(config, kind, limit)
    if keys is None:
        return None
    swapped, reversed_ = (view is not None and bool(view.as_flag()) for view in _swaps(config))
    if kind in {"string", "bytes"}:
        if reversed_ and limit > 1:
            config.report.warning(config.key_place("isRegisterSwap"), "a text is not read from back to front: ignored")
        return keys | ({"word_order": "BADC"} if swapped else {})
    if kind == "boolean":
        return keys | ({"word_order": "BADC"} if swapped else {})
    if swapped:
        return keys | {"word_order": "DCBA" if reversed_ and limit > 1 else "BADC"}
    return keys | ({"word_order": _REVERSED[limit]} if reversed_ and limit > 1 else {})


def _swaps(config: View) -> tuple[View | None, View | None]:
    return config.get("isSwap"), config.get("isRegisterSwap")


def _text(config: View, kind: str, limit: int) -> dict[str, Any] | None:
    if limit > _MOST_TEXT:
        config.report.error(config.key_place("limit"), f"a text has at most {_MOST_TEXT} registers")
        return None
    for key in ("scale", "signed"):
        config.get(key)
    return {"type": TEXT_TYPES[kind], "length": 2 * limit}


TEXT_TYPES = {"string": "string", "bytes": "bytes"}


def _number(config: View, kind: str, limit: int) -> dict[str, Any] | None:
    report, place = config.report, config.place
    wire = "bool" if kind == "boolean" and limit == 1 else ""
    if kind in {"float", "double"}:
        wire = _FLOATS.get(limit, "int16" if limit == 1 else "")
        _tell_float(config, kind, limit, wire)
    elif kind == "int" and limit in _WHOLE:
        signed = config.get("signed")
        is_signed = signed is not None and bool(signed.as_flag())
        wire = f"{'' if is_signed else 'u'}int{_WHOLE[limit]}"
        if signed is None:
            report.guessed(place, f"whole numbers have no sign in KubeEdge: {wire} (`signed: true` gives them one)")
    if not wire:
        report.error(config.key_place("limit"), f"{limit} registers make no {kind}", "1, 2 or 4 registers")
        return None
    return {"type": wire} | _scale(config, wire)


def _tell_float(config: View, kind: str, limit: int, wire: str) -> None:
    if limit == 1:
        text = f"a {kind} of one register is taken as a whole number with sign (int16), times `scale`"
        config.report.guessed(config.place, text)
    elif wire and (kind == "float") != (wire == "float32"):
        config.report.guessed(config.place, f"a {kind} of {limit} registers is taken as {wire}")


def _scale(config: View, wire: str) -> dict[str, Any]:
    found = config.get("scale")
    number = found.as_number() if found is not None else None
    if found is None or number is None or number == 1:
        return {}
    if number == 0 or wire == "bool":
        config.report.ignored(found.place, f"scale {found.text} has no meaning here")
        return {}
    config.report.changed(
        found.place, "fractions are kept, and a written value is divided by `scale`: KubeEdge's mapper does neither"
    )
    return {"scale": number}


BINDING = Binding(_connect, _bind)
