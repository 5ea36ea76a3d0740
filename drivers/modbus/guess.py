"""What registers may mean: every type in every word order side by side, and a first guess.

A guess is a help for the eye, not a finding. Floats are likely when their exponent is sane and they use their
mantissa; two readings a moment apart show what moves and what grows.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
_SANE = (1e-3, 1e7)


def reorder(high: int, low: int, order: str) -> bytes:
    """Two registers as the four bytes of a value, most significant first."""
    wire = struct.pack(">HH", high, low)
    return bytes(wire[order.index(letter)] for letter in "ABCD")


def float_of(high: int, low: int, order: str) -> float | None:
    """The float, None where it is none (NaN, infinite)."""
    value: float = struct.unpack(">f", reorder(high, low, order))[0]
    return value if math.isfinite(value) else None


def int_of(high: int, low: int, order: str) -> int:
    return int.from_bytes(reorder(high, low, order), "big", signed=True)


def text_of(words: Sequence[int]) -> str:
    """The registers as text, with dots for what cannot be printed."""
    return "".join(chr(b) if 32 <= b < 127 else "." for word in words for b in (word >> 8, word & 0xFF))


def rows(first: int, words: Sequence[int], before: Sequence[int] | None = None) -> Iterator[dict[str, Any]]:
    """One row per register: all that it and its neighbour could be. `before`: the same registers a moment earlier."""
    for i, word in enumerate(words):
        row: dict[str, Any] = {
            "offset": first + i,
            "hex": f"{word:04x}",
            "uint16": word,
            "int16": word - 65536 if word > 32767 else word,
            "text": text_of([word]),
        }
        if before is not None:
            row["moved"] = word != before[i]
        if i + 1 < len(words):
            pair = (word, words[i + 1])
            row["float32"] = {order: float_of(*pair, order) for order in ORDERS}
            row["int32"] = {order: int_of(*pair, order) for order in ORDERS}
        yield row


def guess(first: int, words: Sequence[int]) -> list[dict[str, Any]]:
    """A likely type for each place: `offset`, `type`, `word_order`, `length`, `value`, `why`."""
    order = _likely_order(words)
    found: list[dict[str, Any]] = []
    i = 0
    while i < len(words):
        length = _text_length(words[i:])
        if length:
            row = {"type": "string", "length": 2 * length, "value": text_of(words[i : i + length]).rstrip(". ")}
            found.append({"offset": first + i, **row, "why": "printable"})
            i += length
        elif order and i + 1 < len(words) and _is_likely(words[i], words[i + 1], order):
            value = float_of(words[i], words[i + 1], order)
            row = {"type": "float32", "word_order": order, "value": _short(value)}
            found.append({"offset": first + i, **row, "why": "sane exponent"})
            i += 2
        else:
            found.append({"offset": first + i, "type": "uint16", "value": words[i], "why": ""})
            i += 1
    return found


def _likely_order(words: Sequence[int]) -> str:
    """The word order in which most pairs are sane floats; empty when none convinces."""
    scores = {order: sum(_is_likely(words[i], words[i + 1], order) for i in range(len(words) - 1)) for order in ORDERS}
    best = max(scores, key=lambda order: scores[order])
    return best if scores[best] >= 1 else ""


def _is_likely(high: int, low: int, order: str) -> bool:
    value = float_of(high, low, order)
    if value is None or value == 0.0 or not _SANE[0] <= abs(value) < _SANE[1]:
        return False
    return high != 0 and low != 0 if abs(value) < 1 else (high, low) != (0, 0) and reorder(high, low, order)[0] != 0


def _text_length(words: Sequence[int]) -> int:
    """Registers of printable text at the beginning, 0 for less than four characters."""
    length = 0
    for word in words:
        if not all(32 <= byte < 127 for byte in (word >> 8, word & 0xFF)):
            ends = length >= 2 and 32 <= word >> 8 < 127 and word & 0xFF == 0
            return length + 1 if ends else length if length >= 2 else 0
        length += 1
    return length if length >= 2 else 0


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
