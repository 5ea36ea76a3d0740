"""Looking back into the journal for people: entries from the newest on, and readings around a moment. Long walks let
everybody else run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from msgspec import Struct

from gateway.errors import StoreDamaged, StoreFull
from gateway.journal import Segment
from gateway.model import Quality
from gateway.store import Store
from gateway.store.arrivals import Chosen, Missing, Span
from gateway.store.segments import Header
from rules.alarms.entry import shown_value

MAX_READINGS = 20_000
"""Looked at for one view; what comes after them is left out."""


class Reading(Struct, frozen=True):
    """One reading. `ts` in UTC ms; `quality` as on the wire."""

    ts: int
    tag: str
    value: Any
    quality: str


class Lookback:
    """Over one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def settle(self) -> None:
        """Have everything on disk that was told so far: only that is found."""
        with contextlib.suppress(StoreFull):  # what finds no room on the disk is not found either
            await self._store.commit()

    async def newest(self, stream: str, since_ms: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Entries of `alarm` or `event` not older than `since_ms`, newest first."""
        for header in self._store.reader.headers_back(stream):
            segment = self._segment(header) if header.t1 >= since_ms else None
            for row in reversed(segment.rows) if segment is not None else ():
                if row.get("ts", 0) >= since_ms:
                    yield row
            await asyncio.sleep(0)

    async def readings(self, tags: Collection[str], spans: Sequence[tuple[int, int]]) -> list[Reading]:
        """What these tags (full names) were within spans of UTC ms, oldest first; at most MAX_READINGS."""
        found: list[Reading] = []
        if not tags:
            return found
        arrivals, chosen = self._store.arrivals(), Chosen(tags=frozenset(tags))
        for since, until in spans:
            async for part in arrivals.batches(Span(since, until), self._store.aliases(), chosen):
                if isinstance(part, Missing):
                    continue
                quality = part.quality or [0] * len(part.tags)
                found += [
                    Reading(part.ts, f"{part.device}.{path}", shown_value(value), Quality(code).text)
                    for path, value, code in zip(part.tags, part.values, quality, strict=True)
                ]
                if len(found) >= MAX_READINGS:
                    return found
        return found

    def _segment(self, header: Header) -> Segment | None:
        try:
            return self._store.reader.segment(header.stream, header.epoch, header.first)
        except StoreDamaged:
            self._store.report_damaged(header.stream, header.epoch, header.first)
            return None


def thinned(readings: Sequence[Reading], keep: int, moment: int) -> list[Reading]:
    """At most `keep` readings per tag, in order. Where there are more, those that say the same as the one before go
    first. Then there are left: the first and the last, the lowest and the highest, those next to `moment` (UTC ms),
    where the quality changed, and of the rest some that are as far apart as can be.
    """
    by_tag: dict[str, list[Reading]] = {}
    for reading in readings:
        by_tag.setdefault(reading.tag, []).append(reading)
    chosen = [reading for rows in by_tag.values() for reading in _of_one(rows, keep, moment)]
    return sorted(chosen, key=lambda reading: reading.ts)


def _of_one(rows: list[Reading], keep: int, moment: int) -> list[Reading]:
    if len(rows) > keep:
        rows = [row for i, row in enumerate(rows) if i in (0, len(rows) - 1) or _differ(rows[i - 1], row)]
    if len(rows) <= keep:
        return rows
    last = len(rows) - 1
    after = next((i for i, row in enumerate(rows) if row.ts >= moment), last)
    numbers = [
        i for i, row in enumerate(rows) if isinstance(row.value, int | float) and not isinstance(row.value, bool)
    ]
    extremes = [pick(numbers, key=lambda i: rows[i].value) for pick in (min, max)] if numbers else []
    turns = [i for i in range(1, len(rows)) if rows[i].quality != rows[i - 1].quality]
    spread = [round(k * last / max(1, keep - 1)) for k in range(keep)]
    wanted: dict[int, None] = dict.fromkeys([last, 0, after, max(0, after - 1), *extremes, *turns, *spread])
    return [rows[i] for i in sorted(list(wanted)[:keep])]


def _differ(one: Reading, other: Reading) -> bool:
    return (one.value, one.quality) != (other.value, other.quality)
