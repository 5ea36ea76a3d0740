"""Object identifiers: as people write them, and as numbers."""

from __future__ import annotations

Oid = tuple[int, ...]

_MOST_ARCS = 128
_HIGHEST_ARC = 0xFFFFFFFF
_HIGHEST_ROOT = 2
_MOST_BELOW = 40


def oid_of(text: str) -> Oid:
    """`1.3.6.1.2.1.1.3.0`, with or without a dot before it. Raises ValueError."""
    parts = text.removeprefix(".").split(".")
    if not all(part.isascii() and part.isdigit() and len(part) <= len(str(_HIGHEST_ARC)) for part in parts):
        raise ValueError(f"{text!r} is no OID in numbers (names of a MIB are not understood)")
    oid = tuple(int(part) for part in parts)
    if not 2 <= len(oid) <= _MOST_ARCS or max(oid) > _HIGHEST_ARC:
        raise ValueError(f"{text!r}: an OID has 2 to {_MOST_ARCS} numbers of 32 bits")
    if oid[0] > _HIGHEST_ROOT or (oid[0] < _HIGHEST_ROOT and oid[1] >= _MOST_BELOW):
        raise ValueError(f"{text!r} is below no root: OIDs begin with 0, 1 or 2")
    return oid


def text_of(oid: Oid) -> str:
    """The OID as people write it."""
    return ".".join(map(str, oid))
