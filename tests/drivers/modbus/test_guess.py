"""First guesses at what registers mean."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.guess import ORDERS, float_of, guess, int_of, rows, text_of


def wire(data: bytes, order: str) -> tuple[int, int]:
    """Two registers that hold the four bytes ABCD in this order."""
    places = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}[order]
    high, low = struct.unpack(">HH", bytes(data[place] for place in places))
    return high, low


@given(value=st.integers(-(2**31), 2**31 - 1), order=st.sampled_from(ORDERS))
def test_every_order_is_shown_as_it_is(value, order):
    pair = wire(struct.pack(">i", value), order)
    assert int_of(*pair, order) == value
    shown = next(rows(100, pair))
    assert shown["offset"] == 100
    assert shown["int32"][order] == value


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False), order=st.sampled_from(ORDERS))
def test_floats_too(value, order):
    assert float_of(*wire(struct.pack(">f", value), order), order) == value


def test_no_number_is_no_number():
    assert float_of(0x7FC0, 0, "ABCD") is None
    assert float_of(0x7F80, 0, "ABCD") is None


@given(
    values=st.lists(st.sampled_from([230.57, 4.27, -17.13, 50.02, 978.33, 1234.56]), min_size=3, max_size=12),
    order=st.sampled_from(ORDERS),
)
def test_measurements_as_floats_are_found_with_their_order(values, order):
    # no round ones: 50.02, -17.125 in CDAB is also 50.0, -17.135 in ABCD a register later, and nobody can tell
    values = [*values, 230.57, 50.02]
    words = [word for value in values for word in wire(struct.pack(">f", value), order)]
    found = guess(10, words)
    assert {row["word_order"] for row in found if row["type"] == "float32"} == {order}
    told = {row["offset"]: row["value"] for row in found if row["type"] == "float32"}
    for place, value in enumerate(values):
        assert abs(told[10 + 2 * place] - value) < 1e-3 * abs(value)


def test_text_is_found_and_ends_at_its_zero():
    words = struct.unpack(">6H", b"AX-4711-B\0\0\7")
    found = guess(60, words)
    assert found[0] == {"offset": 60, "type": "string", "length": 10, "value": "AX-4711-B", "why": "printable"}
    assert text_of([0x4100]) == "A."


def test_small_numbers_stay_numbers():
    found = guess(0, [1, 2, 3, 400, 65535, 0, 0])
    assert {row["type"] for row in found} == {"uint16"}
    assert [row["value"] for row in found] == [1, 2, 3, 400, 65535, 0, 0]


def told(words, first=0):
    return [(row["offset"], row["type"], row.get("word_order", ""), row["value"]) for row in guess(first, words)]


@pytest.mark.parametrize("behind", [[], [0], [0, 0], [1, 230, 0, 5]])
def test_a_block_of_floats_begins_where_the_registers_begin(behind):
    found = told([0x8000, 0x4366, 0xFDF4, 0x408C, *behind], first=10)
    assert found[:2] == [(10, "float32", "CDAB", 230.5), (12, "float32", "CDAB", 4.406)]


@pytest.mark.parametrize(
    "words", [[330, 1], [1, 330, 210, 500, 1, 0, 0, 2], [5, 362, 16401, 7], [50, 150, 0xFFCE, 1, 0, 2113, 4096, 1000]]
)
def test_set_points_are_no_floats(words):
    assert {row["type"] for row in guess(0, words)} <= {"uint16", "int16"}


@given(words=st.lists(st.integers(-999, 9999), min_size=1, max_size=12))
def test_small_numbers_whatever_their_sign_are_never_floats(words):
    assert "float32" not in {row["type"] for row in guess(0, [word & 0xFFFF for word in words])}


def test_a_negative_number_is_one():
    assert told([230, 65524, 50])[1] == (1, "int16", "", -12)


@pytest.mark.parametrize("order", ["ABCD", "CDAB"])
def test_a_whole_number_over_two_registers_is_found(order):
    assert told(wire(struct.pack(">i", 1234567), order)) == [(0, "int32", order, 1234567)]
    counters = [word for value in (1234567, 98765, 3000, 0) for word in wire(struct.pack(">i", value), order)]
    assert [row[3] for row in told(counters)] == [1234567, 98765, 3000, 0]


def test_floats_between_whole_numbers_are_found():
    words = [1, 2, *wire(struct.pack(">f", 230.57), "CDAB"), 3, 4]
    assert told(words)[2] == (2, "float32", "CDAB", 230.57)
    assert [row[3] for row in told(words)] == [1, 2, 230.57, 3, 4]


def test_what_moved_is_said():
    moved = [row["moved"] for row in rows(0, [1, 2, 3], before=[1, 5, 3])]
    assert moved == [False, True, False]


@given(words=st.lists(st.integers(0, 65535), max_size=60))
def test_every_register_belongs_to_one_guess(words):
    sizes = {"uint16": 1, "int16": 1, "int32": 2, "float32": 2}
    place = 7
    for row in guess(7, words):
        assert row["offset"] == place
        place += sizes.get(row["type"]) or row["length"] // 2
    assert place == 7 + len(words)
