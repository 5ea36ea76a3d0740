"""Bluetooth devices and visitors of KubeEdge as devices that are connected to: characteristics, converters, labels."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from msgspec import Struct

from gateway.importing.kubeedge.bindings import Binding, Bound, Connection, Context
from gateway.importing.kubeedge.kept import keep_rest
from gateway.importing.kubeedge.model import Property
from gateway.importing.kubeedge.words import write_words
from gateway.importing.views import View

_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_UUID = re.compile(r"[0-9a-fA-F]{4}|[0-9a-fA-F]{8}|[0-9a-fA-F]{32}")
_CONVERTER = ("startIndex", "endIndex", "shiftLeft", "shiftRight", "orderOfOperations")
_KNOWN = {"characteristicUUID", "dataWrite", "dataConverter", "dataType", *_CONVERTER}
_LONGEST, _MOST_BYTES = 512, 8
_TYPES = {1: "uint8", 2: "uint16", 3: "uint24", 4: "uint32", 6: "uint48", 8: "uint64"}


def _connect(context: Context) -> Connection | None:
    found = context.config.get("macAddress") if context.config is not None else None
    keep_rest(context.config, {"macAddress"}, context.meta)
    keep_rest(context.common, (), context.meta)
    data = {"driver": "ble", "timeout": "5s"}
    if found is None:
        text = f"device `{context.name}` has no `macAddress`: write its `address` and remove `enabled: false`"
        context.draft.report.warning(context.view.place, text)
        return Connection("bluetooth", data, {"kind": "gatt", "address": ""}, ready=False)
    address = (found.as_text() or "").replace("-", ":").upper()
    if not _MAC.fullmatch(address):
        found.report.error(found.place, f"`{found.text[:40]}` is no address", '"C4:7C:8D:6A:12:34"')
        return None
    return Connection("bluetooth", data, {"address": address, "kind": "gatt"})


class Place(Struct, frozen=True):
    """Bytes of a characteristic: `size` from `start`; `backwards`: the last one is the most significant."""

    start: int
    size: int
    backwards: bool


def _bind(prop: Property, config: View | None, place: View, context: Context) -> Bound | None:
    uuid = _uuid(prop, config, place, context)
    if config is None or uuid is None:
        return None
    converter, given = _details(config, context), config.get("dataType")
    kind = given.text.strip().lower() if given is not None else prop.kind
    words = write_words(config, prop, _KNOWN)
    meta: dict[str, str] = {}
    keep_rest(config, {*_KNOWN, *words.beside}, meta)
    found = Bound({"address": f"gatt/{uuid}"}, meta=meta)
    if converter is None and not words.labels and kind in {"string", "bytes"}:
        found.keys["type"] = kind
        return found
    where = _place(converter, words.size, config)
    if where is None:
        return None
    keys = _number(converter, where, uuid)
    if keys is None:
        return None
    if words.labels:
        keys["labels"] = words.labels
    found.keys = keys
    found.writable = "shift" not in keys
    return found


def _uuid(prop: Property, config: View | None, place: View, context: Context) -> str | None:
    found = config.get("characteristicUUID") if config is not None else None
    if found is None:
        hint = "characteristicUUID: f000aa0104514000b000000000000000"
        where = (config or place).place
        context.draft.report.error(where, f"the visitor of `{prop.name}` has no `characteristicUUID`", hint)
        return None
    digits = found.text.strip().replace("-", "")
    if not _UUID.fullmatch(digits):
        found.report.error(found.place, f"`{found.text[:50]}` is no UUID", "4 or 32 hexadecimal digits")
        return None
    digits = digits.lower()
    if len(digits) == 32:
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return digits


def _details(config: View, context: Context) -> View | None:
    """The converter; samples have its keys beside an empty `dataConverter`."""
    inside = config.get("dataConverter")
    beside = [key for key in _CONVERTER if config.get(key) is not None]
    if inside is not None:
        if inside.as_map() is None:
            return None
        if beside:
            context.draft.report.ignored(config.key_place(beside[0]), "these keys are inside `dataConverter`, too")
        keep_rest(inside, _CONVERTER, context.meta)
        return inside if inside.keys() else None
    if not beside:
        return None
    text = f"`{beside[0]}` is taken as a key of `dataConverter`, which it stands beside"
    context.draft.report.guessed(config.key_place(beside[0]), text)
    return config


def _place(converter: View | None, words: int, config: View) -> Place | None:
    """Which bytes are meant. Nothing said: the first one, as KubeEdge's mapper takes it, or as many as are written."""
    ends = [converter.get(key) if converter is not None else None for key in ("startIndex", "endIndex")]
    if ends[0] is None and ends[1] is None:
        if not words:
            config.report.guessed(config.place, "no bytes are named: the first one is taken as a number")
        return Place(0, words or 1, backwards=False)
    start, end = (0 if view is None else view.as_whole(0, _LONGEST) for view in ends)
    if start is None or end is None:
        return None
    size = abs(end - start) + 1
    if size > _MOST_BYTES:
        config.report.error(config.place, f"{size} bytes are no number", f"at most {_MOST_BYTES} bytes")
        return None
    return Place(min(start, end), size, backwards=end < start)


def _number(converter: View | None, place: Place, uuid: str) -> dict[str, Any] | None:
    shift, factor = _shift(converter), _operations(converter)
    if shift is None or factor is None:
        return None
    order = "" if place.size == 1 else "le" if place.backwards else "be"
    field = f"uint{8 * place.size}{order}"
    keys: dict[str, Any] = {"address": f"gatt/{uuid}+{place.start}:{field}" if place.start else f"gatt/{uuid}:{field}"}
    size = next(bits for bits in sorted(_TYPES) if bits >= place.size)
    keys["type"] = _TYPES[8] if shift < 0 else _TYPES[size]  # a shift to the left loses nothing here
    if shift:
        keys["shift"] = shift
    scale, offset = factor
    if scale != 1:
        keys["scale"] = _plain(scale)
    if offset:
        keys["offset"] = _plain(offset)
    return keys


def _plain(number: Fraction) -> float | int:
    return number.numerator if number.denominator == 1 else float(number)


def _shift(converter: View | None) -> int | None:
    """Positive to the right; the mapper shifts once, and left wins there."""
    if converter is None:
        return 0
    left, right = (
        0 if view is None else view.as_whole(0, 63)
        for view in (converter.get("shiftLeft"), converter.get("shiftRight"))
    )
    if left is None or right is None:
        return None
    if left and right:
        converter.report.error(converter.key_place("shiftRight"), "one shift is done, not two", "keep one of them")
        return None
    return right - left


def _operations(converter: View | None) -> tuple[Fraction, Fraction] | None:
    """What Add, Subtract, Multiply and Divide in their order come to: a factor and what is added after it."""
    scale, offset = Fraction(1), Fraction(0)
    listed = converter.get("orderOfOperations") if converter is not None else None
    for view in (listed.as_list() or ()) if listed is not None else ():
        step = _step(view)
        if step is None:
            return None
        kind, number = step
        if kind == "add":
            offset += number
        elif kind == "subtract":
            offset -= number
        elif kind == "multiply":
            scale, offset = scale * number, offset * number
        else:
            scale, offset = scale / number, offset / number
    return scale, offset


def _step(view: View) -> tuple[str, Fraction] | None:
    if view.as_map() is None:
        return None
    kind, value = view.get("operationType"), view.get("operationValue")
    if kind is None or value is None:
        text = "an operation has `operationType` and `operationValue`"
        view.report.error(view.place, text, "{operationType: Multiply, operationValue: 0.1}")
        return None
    word, number = kind.text.strip().lower(), value.as_number()
    if word not in {"add", "subtract", "multiply", "divide"}:
        view.report.error(kind.place, f"`{kind.text[:40]}` is no operation", "Add, Subtract, Multiply or Divide")
        return None
    if number is None:
        return None
    if number == 0 and word in {"multiply", "divide"}:
        view.report.error(value.place, f"{kind.text} by 0 leaves no value")
        return None
    return word, Fraction(str(number))


BINDING = Binding(_connect, _bind)
