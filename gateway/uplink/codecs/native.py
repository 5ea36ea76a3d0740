"""Codec `native`: msgpack columns for metered links (protocol.md 1.3, 4.3).

A reading of a tag that this uplink does not carry has alias 0 and no value: numbers stay whole, contents do not leave.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgpack

from gateway.journal import Segment
from gateway.uplink.codecs.base import BATCH_MSGPACK, QUALITY_TEXT, Encoded, Names, finite

COMPRESS_ABOVE = 512
"""Bytes: below this zlib gains too little."""

_MAX_SINGLE = 3.4028234663852886e38


class NativeCodec:
    """Needs the birth: readings name their tags by alias."""

    name = "native"
    needs_birth = True

    def __init__(self, gateway: str, compress: str = "zlib") -> None:
        self._gateway = gateway
        self._compress = compress == "zlib"
        self._packer = msgpack.Packer()
        self._single = msgpack.Packer(use_single_float=True)

    def telemetry(self, segment: Segment, names: Names, *, historical: bool) -> Encoded:
        values, quality = finite(segment.values, segment.quality)
        aliases = segment.aliases
        # three C-speed passes find out that nothing is left out, which is the rule
        if None in set(map(names.__getitem__, set(aliases))):
            aliases, values, quality = _carried(aliases, values, quality, names)
        pack = self._packer.pack
        head: dict[str, Any] = {
            "v": 1,
            "g": self._gateway,
            "st": segment.stream,
            "e": segment.epoch,
            "s": segment.first,
            "n": segment.n,
            "d": segment.dict_no,
            "t0": segment.t0,
            "i": aliases,
            "dt": _deltas(segment),
        }
        if historical:
            head["h"] = 1
        if segment.clock == "u":
            head["clk"] = "u"
        if quality:
            head["q"] = [[i, QUALITY_TEXT[quality[i]]] for i in sorted(quality) if quality[i]]
        # the map is closed by hand, because the column of values is packed apart
        parts = [self._packer.pack_map_header(len(head) + 1)]
        for key, value in head.items():
            parts.extend((pack(key), pack(value)))
        parts.extend((pack("x"), pack_values(values, self._single, self._packer)))
        payload = b"".join(parts)
        if self._compress and len(payload) > COMPRESS_ABOVE:
            return Encoded(zlib.compress(payload, 6), BATCH_MSGPACK, "zlib")
        return Encoded(payload, BATCH_MSGPACK)


def _carried(
    aliases: list[int], values: list[Any], quality: dict[int, int], names: Names
) -> tuple[list[int], list[Any], dict[int, int]]:
    keep = [names[alias] is not None for alias in aliases]
    return (
        [alias if kept else 0 for alias, kept in zip(aliases, keep, strict=True)],
        [value if kept else None for value, kept in zip(values, keep, strict=True)],
        {i: code for i, code in quality.items() if keep[i]},
    )


def _deltas(segment: Segment) -> list[int]:
    """Milliseconds of each reading to the one before; the first to t0."""
    deltas: list[int] = []
    before = segment.t0
    for n, ts in zip(segment.border_n, segment.border_ts, strict=True):
        deltas.append(ts - before)
        if n > 1:
            deltas.extend([0] * (n - 1))
        before = ts
    return deltas


def pack_values(values: list[Any], single: msgpack.Packer, double: msgpack.Packer) -> bytes:
    """A msgpack array of the finite values; a float takes 4 bytes where those hold it exactly.

    `single` packs floats in single precision, `double` in double.
    """
    floats = [value for value in values if value.__class__ is float]
    exact = _exact(floats)
    if all(exact):
        return _packed(single, values)
    if len(floats) != len(values):
        of_floats = iter(exact)
        exact = [value.__class__ is not float or next(of_floats) for value in values]
    short, full = single.pack, double.pack
    try:
        parts = [short(value) if fits else full(value) for value, fits in zip(values, exact, strict=True)]
    except OverflowError:
        single.reset()
        return pack_values(list(map(_fit, values)), single, double)
    return b"".join((single.pack_array_header(len(values)), *parts))


def _packed(packer: msgpack.Packer, values: list[Any]) -> bytes:
    try:
        packed: bytes = packer.pack(values)
    except OverflowError:
        packer.reset()
        packed = packer.pack(list(map(_fit, values)))
    return packed


def _fit(value: Any) -> Any:
    """Msgpack ends at 64 bits; no type of ours is wider, but a value computed from one may be."""
    if value.__class__ is int and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def _exact(floats: list[float]) -> list[bool]:
    """For each finite float whether single precision holds it."""
    form = struct.Struct(f"<{len(floats)}f")
    try:
        rounded = form.unpack(form.pack(*floats))
    except OverflowError:  # some are beyond the range of single precision
        limit = _MAX_SINGLE
        rounded = form.unpack(form.pack(*[value if -limit <= value <= limit else 0.0 for value in floats]))
    return list(map(float.__eq__, floats, rounded))
