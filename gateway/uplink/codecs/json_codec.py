"""Codec `json`: batch messages that any engine reads without our code (protocol.md 1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.journal import Segment
from gateway.uplink.codecs.base import (
    BATCH_JSON,
    QUALITY_TEXT,
    Encoded,
    Names,
    finite,
    pack_json,
    safe_integers,
)


class JsonCodec:
    """`compress`: `none` or `zlib`."""

    name = "json"
    needs_birth = False

    def __init__(self, gateway: str, compress: str = "none") -> None:
        self._gateway = gateway
        self._compress = compress

    def telemetry(self, segment: Segment, names: Names, *, historical: bool) -> Encoded:
        message: dict[str, Any] = {
            "v": 1,
            "gateway": self._gateway,
            "stream": segment.stream,
            "epoch": segment.epoch,
            "seq": segment.first,
            "n": segment.n,
        }
        if historical:
            message["historical"] = True
        if segment.clock == "u":
            message["clock"] = "u"
        message["batches"] = list(_batches(segment, names))
        return pack_json(message, BATCH_JSON, self._compress)


def _batches(segment: Segment, names: Names) -> Iterator[dict[str, Any]]:
    """One object per entry. Entries of tags that are not carried are left out: the header still covers them."""
    values, quality = finite(segment.values, segment.quality)
    values = safe_integers(values)
    at = 0
    for n, ts in zip(segment.border_n, segment.border_ts, strict=True):
        end = at + n
        named = [names[alias] for alias in segment.aliases[at:end]]
        first = named[0]
        if first is not None:
            tags = [name[1] for name in named if name is not None]
            batch = {
                "device": first[0],
                "ts": ts,
                "seq": segment.first + at,
                "values": dict(zip(tags, values[at:end], strict=True)),
            }
            if quality and (
                marks := {tags[i - at]: QUALITY_TEXT[quality[i]] for i in range(at, end) if quality.get(i)}
            ):
                batch["quality"] = marks
            yield batch
        at = end
