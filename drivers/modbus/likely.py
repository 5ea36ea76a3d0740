"""The likeliest way to cut registers into values: the one that takes the fewest bits to describe.

Each way to read a place has a price in bits, low for what registers usually hold: small numbers, text, floats of
everyday size (the cheaper the shorter their mantissa). Changing from one kind to another has a price too, so values
stand in rows of one kind, and the first begins where the block begins. The cheapest cut is found place by place
(Viterbi), once for each word order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
WORD, FLOAT, WHOLE, TEXT = range(4)

_ORDER_PRICE = {"ABCD": 0.0, "CDAB": 1.0, "BADC": 7.0, "DCBA": 7.0}
_WHOLE_ORDERS = ("ABCD", "CDAB")
"""Orders in which pairs are tried as whole numbers: in the others any small number looks like another."""
_CHANGE = (1.0, 3.0, 3.0, 6.0)
"""For each kind, what it costs to begin with it behind another one."""
_EVERYDAY = ((0.1, 1e4, 4.0), (1e-3, 1e6, 6.0), (1e-3, 1e7, 9.0))
"""Sizes of floats, from and below, and their price."""
_MANTISSA, _SHORT = 23.0, 4.5
_LARGE, _HUGE = 10_000, 100_000_000
_NOT_THERE = 0xFFFF
_LETTER, _SIGN = 5.0, 9.0
_NEVER = math.inf


class Piece(NamedTuple):
    """`size` registers from `start` on, read as one `kind` in `order`."""

    start: int
    size: int
    kind: int
    order: str


class _Way(NamedTuple):
    """The cheapest way to a place that ends with a kind: its price, that piece's size, and the kind before it."""

    price: float
    size: int
    before: int


def reorder(high: int, low: int, order: str) -> bytes:
    """Two registers as the four bytes of a value, most significant first."""
    wire = struct.pack(">HH", high, low)
    return bytes(wire[order.index(letter)] for letter in "ABCD")


def is_negative(word: int) -> bool:
    """Whether a register alone is rather a negative number. All ones mostly mean that nothing is there."""
    return word - 0x10000 > -_LARGE and word != _NOT_THERE


def cut(words: Sequence[int]) -> list[Piece]:
    """All registers in pieces, without a gap."""
    ways = [_cheapest(words, order) for order in ORDERS]
    return min(ways, key=lambda way: way[0])[1]


def _cheapest(words: Sequence[int], order: str) -> tuple[float, list[Piece]]:
    """Price and pieces of the best cut with one word order."""
    best = [[_Way(_NEVER, 0, 0)] * 4 for _ in range(len(words) + 1)]
    best[0][WORD] = _Way(0.0, 0, WORD)
    texts = _texts(words)
    for i in range(len(words)):
        for kind, size, price in _readings(words, i, order, texts[i]):
            there = best[i + size]
            for before, way in enumerate(best[i]):
                total = way.price + price + (0.0 if before == kind else _CHANGE[kind])
                if total < there[kind].price:
                    there[kind] = _Way(total, size, before)
    kind = min(range(4), key=lambda each: best[-1][each].price)
    pieces = []
    at, price = len(words), best[-1][kind].price + _ORDER_PRICE[order]
    while at:
        _, size, before = best[at][kind]
        at -= size
        pieces.append(Piece(at, size, kind, order))
        kind = before
    return price, pieces[::-1]


def _readings(words: Sequence[int], i: int, order: str, text: tuple[int, float]) -> Iterator[tuple[int, int, float]]:
    """Kind, size and price of all that may begin at a place."""
    yield WORD, 1, _word_price(words[i])
    if text[0] >= 2:
        yield TEXT, *text
    if i + 1 < len(words):
        pair = reorder(words[i], words[i + 1], order)
        yield FLOAT, 2, _float_price(pair)
        if order in _WHOLE_ORDERS:
            yield WHOLE, 2, _whole_price(int.from_bytes(pair, "big", signed=True))


def _number_price(value: int) -> float:
    return 2.0 + math.log2(abs(value) + 1) + (3.0 if value < 0 else 0.0)


def _word_price(word: int) -> float:
    if word == _NOT_THERE:
        return _number_price(-1)
    value = word - 0x10000 if word > 0x7FFF else word
    return _number_price(value) + (3.0 if abs(value) >= _LARGE else 0.0)


def _whole_price(value: int) -> float:
    return max(_number_price(value), 2 * _number_price(0)) + (6.0 if abs(value) >= _HUGE else 0.0)


def _float_price(data: bytes) -> float:
    value: float = struct.unpack(">f", data)[0]
    if value == 0.0:
        return 4.0 if data == bytes(4) else _NEVER
    size = next((price for low, high, price in _EVERYDAY if low <= abs(value) < high), _NEVER)
    mantissa = int.from_bytes(data, "big") & 0x7FFFFF
    used = _MANTISSA - ((mantissa & -mantissa).bit_length() - 1 if mantissa else _MANTISSA)
    return size + min(_MANTISSA, used + _SHORT) + (2.0 if value < 0 else 0.5)


def _texts(words: Sequence[int]) -> list[tuple[int, float]]:
    """For each place the registers of text from there on, with a zero behind its last letter, and their price."""
    found = [(0, 0.0)] * (len(words) + 1)
    for i in range(len(words) - 1, -1, -1):
        high, low = words[i] >> 8, words[i] & 0xFF
        if _is_printable(high) and _is_printable(low):
            size, price = found[i + 1]
            found[i] = (size + 1, price + _letter_price(high) + _letter_price(low))
        elif _is_printable(high) and low == 0:
            found[i] = (1, _letter_price(high) + 1.0)
    return found[:-1]


def _is_printable(byte: int) -> bool:
    return 32 <= byte < 127


def _letter_price(byte: int) -> float:
    return _LETTER if chr(byte).isalnum() or byte == 32 else _SIGN
