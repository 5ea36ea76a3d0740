"""What every codec shares: its contract, content types, and how a value looks on the wire."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from gateway.journal import Gap, Segment
from gateway.model import Quality

BATCH_JSON = "application/vnd.fieldpost.batch+json;v=1"
BATCH_MSGPACK = "application/vnd.fieldpost.batch+msgpack;v=1"
JSON = "application/json"

SAFE_INTEGER = 2**53 - 1
"""Integers beyond this are decimal strings in JSON: many engines read numbers as doubles."""

MAX_INFLATED = 16 * 1024 * 1024
"""A compressed payload from outside that grows beyond this is refused."""

QUALITY_TEXT: dict[int, str] = {int(quality): quality.text for quality in Quality}

Names = Mapping[int, tuple[str, str] | None]
"""Alias -> (device, tag); None for a tag that this uplink does not carry (`select`)."""


class Encoded(NamedTuple):
    """A payload and what MQTT 5 says about it. `encoding` is `zlib` or None."""

    payload: bytes
    content_type: str
    encoding: str | None = None


class Codec(Protocol):
    """How segments become payloads. One object per uplink, without state."""

    name: str
    needs_birth: bool
    """Whether a consumer cannot read telemetry without the birth of its dictionary (W14)."""

    def telemetry(self, segment: Segment, names: Names, *, historical: bool) -> Encoded:
        """A batch message of all entries of `segment`. Raises KeyError for an alias that `names` does not have."""
        ...


def pack_json(value: Any, content_type: str = JSON, compress: str = "none") -> Encoded:
    """JSON, compressed when `compress` is `zlib` and it is long enough to gain."""
    payload = msgspec.json.encode(value)
    if compress == "zlib" and len(payload) > 512:
        return Encoded(zlib.compress(payload, 6), content_type, "zlib")
    return Encoded(payload, content_type)


def entries_message(gateway: str, segment: Segment) -> dict[str, Any]:
    """The body of an `alarm`, `event` or `log` message; the same for every codec."""
    return {
        "v": 1,
        "gateway": gateway,
        "stream": segment.stream,
        "epoch": segment.epoch,
        "seq": segment.first,
        "n": segment.n,
        "entries": segment.rows,
    }


def gap_message(gateway: str, gap: Gap) -> dict[str, Any]:
    """The body of a gap record on `up/gap`."""
    return {"v": 1, "gateway": gateway, **gap.row()}


def finite(values: list[Any], quality: dict[int, int]) -> tuple[list[Any], dict[int, int]]:
    """Values without NaN and infinities: those are null, with a bad quality unless one says more already.

    Returns the arguments themselves when nothing has to change, which is nearly always.
    """
    isfinite = math.isfinite
    if all(map(isfinite, [value for value in values if value.__class__ is float])):
        return values, quality
    wrong = [i for i, value in enumerate(values) if value.__class__ is float and not isfinite(value)]
    values, quality = list(values), dict(quality)
    for i in wrong:
        # no measurement, or one beyond what the type can hold
        reason = Quality.BAD_SENSOR if math.isnan(values[i]) else Quality.BAD_RANGE
        values[i] = None
        if quality.get(i, Quality.GOOD) < Quality.BAD:
            quality[i] = reason
    return values, quality


def safe_integers(values: list[Any]) -> list[Any]:
    """Integers beyond +-(2^53 - 1) as decimal strings. Returns the argument itself when there is none."""
    integers = [value for value in values if value.__class__ is int]
    if not integers or (min(integers) >= -SAFE_INTEGER and max(integers) <= SAFE_INTEGER):
        return values
    big = [i for i, value in enumerate(values) if value.__class__ is int and not -SAFE_INTEGER <= value <= SAFE_INTEGER]
    values = list(values)
    for i in big:
        values[i] = str(values[i])
    return values


def inflate(payload: bytes) -> bytes | None:
    """The plain form of a zlib payload; None when it is cut, damaged or a bomb."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(payload, MAX_INFLATED)
    except zlib.error:
        return None
    return plain if unpacker.eof and not unpacker.unconsumed_tail else None
