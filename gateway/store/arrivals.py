"""What the journal holds, in the order and at the times it arrived: for replay. Long walks let everybody else run.

Moments are compared by the boot clock. A boot's last known offset corrects those before it: what was stamped in 1970
because the clock was not set yet is found where it belongs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct

from gateway.errors import StoreDamaged
from gateway.journal import AliasRow, Segment
from gateway.store.reader import Reader
from gateway.store.segments import Header, cut
from gateway.store.state import State

Damaged = Callable[[str, int, int], None]

_HEADERS_A_TURN = 64


class Arrival(Struct, frozen=True):
    """One batch as it came. `at`: ms on the boot clock of `boot`, `offset`: wall minus boot clock then, `ts`: UTC ms
    when the values were true. `quality` is None where all are good. `seq`: number of its first reading.
    """

    at: int
    offset: int
    boot: str
    ts: int
    device: str
    tags: list[str]
    values: list[Any]
    quality: list[int] | None
    seq: int
    epoch: int

    def at_on(self, boot: str, offset: int) -> int:
        """When it came, in ms on the clock of another boot; `offset`: wall minus boot clock there."""
        return self.at if boot == self.boot else self.at + self.offset - offset


class Missing(Struct, frozen=True):
    """Numbers that are not held any more, or never were."""

    epoch: int
    first: int
    last: int


class Span(Struct, frozen=True):
    """From when to when, UTC ms, both included. `until_ms` None: to the last number committed when it is asked."""

    since_ms: int = 0
    until_ms: int | None = None

    def holds(self, wall_ms: int) -> bool:
        return self.since_ms <= wall_ms and (self.until_ms is None or wall_ms <= self.until_ms)


class Chosen(Struct, frozen=True):
    """Which readings; empty is all. Tags are full names, `device.path`."""

    devices: Collection[str] = ()
    tags: Collection[str] = ()

    def takes(self, row: AliasRow) -> bool:
        return (not self.devices or row.device in self.devices) and (
            not self.tags or f"{row.device}.{row.tag}" in self.tags
        )


class Arrivals:
    """Walks over one stream of a store."""

    def __init__(self, reader: Reader, state: State, damaged: Damaged) -> None:
        self._reader = reader
        self._state = state
        self._damaged = damaged

    async def batches(
        self, span: Span, aliases: Mapping[int, AliasRow], chosen: Chosen
    ) -> AsyncIterator[Arrival | Missing]:
        """Batches of telemetry in order, and what is missing between them."""
        offsets: dict[str, int] = {}
        columns = _Columns(aliases, chosen)
        async for part in self._segments("telemetry", span, offsets):
            if isinstance(part, Missing):
                for arrival in columns.flush():
                    yield arrival
                yield part
                continue
            for arrival in columns.take(part):
                if span.holds(arrival.at + offsets.get(arrival.boot, arrival.offset)):
                    yield arrival
        for arrival in columns.flush():
            if span.holds(arrival.at + offsets.get(arrival.boot, arrival.offset)):
                yield arrival

    async def segments(self, stream: str, span: Span, limit: int) -> AsyncIterator[Segment | Missing]:
        """Segments in order, cut between entries to at most `limit` numbers, of which some may be in the span. Others
        run between two of them.
        """
        async for part in self._segments(stream, span, {}):
            if isinstance(part, Missing):
                yield part
                continue
            first = part.first
            while first <= part.last:
                piece = cut(part, first, part.last, limit)
                yield piece
                first = piece.last + 1
                await asyncio.sleep(0)

    async def entries(self, stream: str, span: Span) -> AsyncIterator[dict[str, Any] | Missing]:
        """Entries of `alarm`, `event` or `log`, each with its `epoch`."""
        async for part in self._segments(stream, span, {}):
            if isinstance(part, Missing):
                yield part
                continue
            for row in part.rows:
                if span.holds(row.get("ts", part.t0)):
                    yield {"epoch": part.epoch, **row}

    async def _segments(self, stream: str, span: Span, offsets: dict[str, int]) -> AsyncIterator[Segment | Missing]:
        """Segments that may touch the span. Fills `offsets` with the last offset of each boot."""
        end = (self._state.epoch, self._state.next[stream])
        start = await self._start(stream, span, offsets)
        expected: tuple[int, int] | None = None
        for header in self._reader.headers(stream, *start):
            if (header.epoch, header.first) >= end:
                return
            if expected is not None and expected[0] == header.epoch and expected[1] < header.first:
                yield Missing(header.epoch, expected[1], header.first - 1)
            expected = (header.epoch, header.last + 1)
            wall = header.mono + offsets.get(header.stamp.boot, header.stamp.offset)
            if stream == "telemetry" and span.until_ms is not None and wall > span.until_ms:
                continue
            segment = self._read(header)
            yield Missing(header.epoch, header.first, header.last) if segment is None else segment
            await asyncio.sleep(0)

    async def _start(self, stream: str, span: Span, offsets: dict[str, int]) -> tuple[int, int]:
        """Epoch and first number of the newest segment that began before the span."""
        start = (0, 0)
        for count, header in enumerate(self._reader.headers_back(stream), 1):
            offset = offsets.setdefault(header.stamp.boot, header.stamp.offset)
            start = (header.epoch, header.first)
            if header.mono + offset < span.since_ms:
                break
            if count % _HEADERS_A_TURN == 0:
                await asyncio.sleep(0)
        return start

    def _read(self, header: Header) -> Segment | None:
        try:
            return self._reader.segment(header.stream, header.epoch, header.first)
        except StoreDamaged:
            self._damaged(header.stream, header.epoch, header.first)
            return None


class _Columns:
    """Puts the entries of segments together to the batches that they were. One batch is held back: the next segment
    may go on with it.
    """

    def __init__(self, aliases: Mapping[int, AliasRow], chosen: Chosen) -> None:
        self._aliases = aliases
        self._chosen = chosen
        self._held: Arrival | None = None

    def take(self, segment: Segment) -> Iterator[Arrival]:
        joined = frozenset(segment.border_joined)
        position = 0
        for entry, n in enumerate(segment.border_n):
            arrival = self._arrival(segment, entry, position, n)
            position += n
            if self._held is not None and entry in joined:
                arrival = _joined(self._held, arrival)
            else:
                yield from self.flush()
            self._held = arrival

    def flush(self) -> Iterator[Arrival]:
        """The batch that was held back, if anything of it is wanted."""
        held, self._held = self._held, None
        if held is not None and held.tags:
            yield held

    def _arrival(self, segment: Segment, entry: int, position: int, n: int) -> Arrival:
        rows = [self._aliases.get(alias) for alias in segment.aliases[position : position + n]]
        kept = [(i, row) for i, row in enumerate(rows, position) if row is not None and self._chosen.takes(row)]
        ts = segment.border_ts[entry]
        late = segment.border_late[entry] if segment.border_late else 0
        quality = [segment.quality.get(i, 0) for i, _ in kept]
        return Arrival(
            at=ts + late - segment.offset,
            offset=segment.offset,
            boot=segment.boot,
            ts=ts,
            device=kept[0][1].device if kept else "",
            tags=[row.tag for _, row in kept],
            values=[segment.values[i] for i, _ in kept],
            quality=quality if any(quality) else None,
            seq=segment.first + position,
            epoch=segment.epoch,
        )


def _joined(left: Arrival, right: Arrival) -> Arrival:
    """One batch of two of its entries."""
    quality = None
    if left.quality is not None or right.quality is not None:
        quality = [*(left.quality or [0] * len(left.tags)), *(right.quality or [0] * len(right.tags))]
    return Arrival(
        at=left.at,
        offset=left.offset,
        boot=left.boot,
        ts=left.ts,
        device=left.device or right.device,
        tags=left.tags + right.tags,
        values=left.values + right.values,
        quality=quality,
        seq=left.seq,
        epoch=left.epoch,
    )
