"""What registers may mean: every type in every word order side by side, and a first guess.

A guess is a help for the eye, not a finding (likely.py says how it is made); two readings a moment apart show what
moves.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from drivers.modbus.likely import FLOAT, ORDERS, TEXT, WORD, Piece, cut, is_negative, reorder


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
    """A likely type for each place: `offset`, `type`, `word_order`, `length`, `value`, `why`.

    `why` is empty for a register that may well be what it is.
    """
    return [{"offset": first + piece.start, **_told(piece, words)} for piece in cut(words)]


def _told(piece: Piece, words: Sequence[int]) -> dict[str, Any]:
    mine = words[piece.start : piece.start + piece.size]
    if piece.kind == TEXT:
        return {"type": "string", "length": 2 * len(mine), "value": text_of(mine).rstrip(". "), "why": "printable"}
    if piece.kind == WORD:
        if is_negative(mine[0]):
            return {"type": "int16", "value": mine[0] - 0x10000, "why": "a small negative number"}
        return {"type": "uint16", "value": mine[0], "why": ""}
    kind = "float32" if piece.kind == FLOAT else "int32"
    high, low = mine
    read = _short(float_of(high, low, piece.order)) if piece.kind == FLOAT else int_of(high, low, piece.order)
    why = "everyday size" if piece.kind == FLOAT else "small high half"
    return {"type": kind, "word_order": piece.order, "value": read, "why": why}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
