"""Codec `json`: batch messages that any engine reads without our code (protocol.md 1.3)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby
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
        message["batches"] = _batches(segment, names)
        return pack_json(message, BATCH_JSON, self._compress)


def _batches(segment: Segment, names: Names) -> list[dict[str, Any]]:
    """One object per entry. Tags that are not carried are left out, and an entry ends before one; the header covers
    them.
    """
    values, quality = finite(segment.values, segment.quality)
    values = safe_integers(values)
    # columns first, so that an entry costs slices and a message no work per value
    named = list(map(names.__getitem__, segment.aliases))
    tags = [name[1] if name is not None else "" for name in named]
    marked = sorted(i for i, code in quality.items() if code)
    batches: list[dict[str, Any]] = []
    seq = segment.first
    for at, end, ts in _entries(segment, named):
        name = named[at]
        if name is not None:
            inside = dict(zip(tags[at:end], values[at:end], strict=True))
            batch = {"device": name[0], "ts": ts, "seq": seq + at, "values": inside}
            if marked and (here := marked[bisect_left(marked, at) : bisect_left(marked, end)]):
                batch["quality"] = {tags[i]: QUALITY_TEXT[quality[i]] for i in here}
            batches.append(batch)
    return batches


def _entries(segment: Segment, named: Sequence[tuple[str, str] | None]) -> Iterator[tuple[int, int, int]]:
    """Begin, end and time of each entry; of one with tags that are not carried, of the runs between them."""
    at, whole = 0, None not in named
    for n, ts in zip(segment.border_n, segment.border_ts, strict=True):
        end = at + n
        if whole or None not in named[at:end]:
            yield at, end, ts
        else:
            for carried, places in groupby(range(at, end), lambda place: named[place] is not None):
                run = list(places)
                if carried:
                    yield run[0], run[-1] + 1, ts
        at = end
