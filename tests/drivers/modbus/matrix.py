"""The matrix of word order, type, reading and writing against a server that nobody here wrote.

The oracle lists byte places by hand and shares nothing with the driver. Raw words are moved with plain uint16 tags,
which test_the_words_of_plain_registers_are_those_of_libmodbus ties to libmodbus' own encoding.
"""

from __future__ import annotations

import asyncio
import math
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec

PLACES = {
    "AB": [0, 1],
    "BA": [1, 0],
    "ABCD": [0, 1, 2, 3],
    "BADC": [1, 0, 3, 2],
    "CDAB": [2, 3, 0, 1],
    "DCBA": [3, 2, 1, 0],
    "ABCDEFGH": [0, 1, 2, 3, 4, 5, 6, 7],
    "BADCFEHG": [1, 0, 3, 2, 5, 4, 7, 6],
    "GHEFCDAB": [6, 7, 4, 5, 2, 3, 0, 1],
    "HGFEDCBA": [7, 6, 5, 4, 3, 2, 1, 0],
    "CDABGHEF": [2, 3, 0, 1, 6, 7, 4, 5],
}
"""Which byte of the value (0 = most significant) stands where on the wire."""

INTEGERS = {"int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8}
FLOATS = {"float32": (4, ">f"), "float64": (8, ">d")}


def wire_words(kind: str, order: str, value: float) -> list[int]:
    """The registers that hold `value`, by the book."""
    if kind in INTEGERS:
        whole = value.to_bytes(INTEGERS[kind], "big", signed=kind.startswith("int"))
    else:
        whole = struct.pack(FLOATS[kind][1], value)
    wire = [whole[place] for place in PLACES[order]]
    return [wire[i] * 256 + wire[i + 1] for i in range(0, len(wire), 2)]


def size_of(kind: str) -> int:
    return INTEGERS[kind] if kind in INTEGERS else FLOATS[kind][0]


@st.composite
def cells(draw):
    """One tag of the matrix: type, letters, value."""
    kind = draw(st.sampled_from([*INTEGERS, *FLOATS]))
    order = draw(st.sampled_from([letters for letters in PLACES if len(letters) == size_of(kind)]))
    if kind in INTEGERS:
        bits, signed = 8 * size_of(kind), kind.startswith("int")
        value = draw(st.integers(-(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1))
    else:
        value = draw(st.floats(width=8 * size_of(kind), allow_nan=False, allow_infinity=False))
    return kind, order, value


async def _exchange(port, row) -> None:
    specs, words, at = [], [], 0
    for i, (kind, order, value) in enumerate(row):
        specs.append(tag_spec(f"t{i}", f"holding/{at}", kind, access="rw", word_order=order))
        words += wire_words(kind, order, value)
        at += size_of(kind) // 2
    typed = device_of(specs, "typed")
    plain = device_of([tag_spec(f"w{i}", f"holding/{i}", access="rw") for i in range(at)], "plain")
    async with driver_on(channel_of(typed, plain, port=port, timeout_s=10), typed, plain) as driver:
        for tag, (_, _, value) in zip(typed.tags, row, strict=True):
            await driver.write(typed, tag, value)
        assert list((await read_all(driver, plain)).values()) == words, "written words"
        for tag in plain.tags:
            await driver.write(plain, tag, 0)
        assert all(value == 0 for value in (await read_all(driver, typed)).values()), "cleared"
        for tag, word in zip(plain.tags, words, strict=True):
            await driver.write(plain, tag, word)
        for (kind, order, value), got in zip(row, (await read_all(driver, typed)).values(), strict=True):
            assert type(got) is type(value) and got == value, (kind, order)
            assert math.copysign(1, got) == math.copysign(1, value)


def check_matrix(port: int | dict, examples: int) -> None:
    """Random rows of the matrix through the server at `port` (or what a channel says); then each cell of the matrix once."""

    @settings(max_examples=examples, deadline=None)
    @given(st.lists(cells(), min_size=1, max_size=8))
    def play(row) -> None:
        asyncio.run(_exchange(port, row))

    play()
    asyncio.run(_exchange(port, [(kind, order, example(kind)) for kind, order in every_cell()]))


def every_cell() -> list[tuple[str, str]]:
    return [(kind, order) for kind in (*INTEGERS, *FLOATS) for order in PLACES if len(order) == size_of(kind)]


def example(kind: str) -> float:
    """A value whose bytes all differ."""
    if kind in INTEGERS:
        return int.from_bytes(bytes(range(0x11, 0x11 + size_of(kind))), "big")
    return 1234.5678 if kind == "float64" else 1234.5
