"""What a device holds whose meaning an EdgeX profile says: written from EdgeX' rules, sharing nothing with the importer.

Resources are plain data of PyYAML, so that `10.10` arrives as the float that EdgeX' own reader sees.
"""

from __future__ import annotations

import random
import struct
from typing import Any

TABLES = {
    "COILS": "coil",
    "DISCRETES_INPUT": "discrete",
    "INPUT_REGISTERS": "input",
    "HOLDING_REGISTERS": "holding",
}
_CODES = {
    "INT8": "b",
    "UINT8": "B",
    "INT16": "h",
    "UINT16": "H",
    "INT32": "i",
    "UINT32": "I",
    "INT64": "q",
    "UINT64": "Q",
    "FLOAT32": "f",
    "FLOAT64": "d",
}


def place_of(resource: dict[str, Any]) -> tuple[str, int, int]:
    """Table, address and bit of a resource."""
    attributes = resource["attributes"]
    start = attributes["startingAddress"]
    text = f"{start:.2f}" if isinstance(start, float) else str(start)
    address, _, bit = text.partition(".")
    return TABLES[attributes["primaryTable"].upper()], int(address), int(bit or 0)


def swapped(data: bytes, attributes: dict[str, Any]) -> bytes:
    """Bytes in each word, then words."""
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if attributes.get("isByteSwap"):
        words = [word[::-1] for word in words]
    if attributes.get("isWordSwap"):
        words.reverse()
    return b"".join(words)


def sample(resource: dict[str, Any], dice: random.Random) -> tuple[Any, Any]:
    """A raw value, and what a reader of the profile expects to see for it."""
    properties = resource["properties"]
    kind = str(properties["valueType"]).upper()
    wire = str(resource["attributes"].get("rawType", kind)).upper()
    if kind == "BOOL":
        flag = dice.random() < 0.5
        return flag, flag
    if kind == "STRING":
        size = 2 * resource["attributes"]["stringRegisterSize"]
        text = "".join(dice.choice("ABCdef123") for _ in range(dice.randint(1, size)))
        return text, text
    if wire.startswith("FLOAT"):
        raw: Any = dice.randint(-4000, 4000) / 8
    else:
        bits = int(wire.removeprefix("U").removeprefix("INT"))
        raw = dice.randint(0, 2**bits - 1) - (0 if wire.startswith("U") else 2 ** (bits - 1))
    scale, offset = float(properties.get("scale", 1)), float(properties.get("offset", 0))
    return raw, raw if (scale, offset) == (1, 0) else raw * scale + offset


def hold(tables: dict[str, dict[int, int]], resource: dict[str, Any], raw: Any) -> None:
    """Put a raw value where the device has it."""
    table, address, bit = place_of(resource)
    attributes = resource["attributes"]
    kind = str(resource["properties"]["valueType"]).upper()
    cells = tables.setdefault(table, {})
    if kind == "BOOL":
        if table in {"coil", "discrete"}:
            cells[address] = int(raw)
        else:
            cells[address] = cells.get(address, 0) & ~(1 << bit) | int(raw) << bit
        return
    if kind == "STRING":
        data = str(raw).encode().ljust(2 * attributes["stringRegisterSize"], b"\0")
    else:
        data = struct.pack(">" + _CODES[str(attributes.get("rawType", kind)).upper()], raw)
        data = data if len(data) > 1 else b"\xff" + data  # the low byte counts, whatever the other is
        if len(data) > 2:
            data = swapped(data, attributes)
    if table in {"coil", "discrete"}:  # eight of them are a byte, the first its lowest bit
        for number, byte in enumerate(data):
            cells.update({address + 8 * number + i: byte >> i & 1 for i in range(8)})
        return
    for number in range(len(data) // 2):
        cells[address + number] = int.from_bytes(data[2 * number : 2 * number + 2], "big")


def fill(profile: dict[str, Any], seed: int) -> tuple[dict[str, dict[int, int]], dict[str, Any]]:
    """The tables of a device of this profile, and its readings by resource."""
    dice, tables, readings = random.Random(seed), {}, {}
    for resource in profile["deviceResources"]:
        raw, expected = sample(resource, dice)
        hold(tables, resource, raw)
        readings[resource["name"]] = expected
    return tables, readings
