"""One consumer's side of the journal: its cursor, its gap records, its reads (gateway.journal.Consumer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.errors import StoreDamaged
from gateway.journal import AliasRow, Backlog, Gap, Level, Segment, StreamState
from gateway.store import ranges, rows
from gateway.store.reader import Found
from gateway.store.segments import cut
from gateway.store.state import CursorKey

if TYPE_CHECKING:
    from gateway.store.attempt import Work
    from gateway.store.store import Store

_ALL = 2**63


class StoreConsumer:
    """Made by Store.consumer. Cursor moves act at once here and are on disk with the next commit."""

    def __init__(self, store: Store, name: str, streams: tuple[str, ...]) -> None:
        self.name = name
        self._store = store
        self._streams = streams
        self._done: dict[CursorKey, ranges.Ranges] = {
            key: value for key, value in store.state.cursors.items() if key[0] == name
        }
        self._acked: set[tuple[CursorKey, Gap]] = set()
        self._values: dict[str, Any] = {}

    @property
    def epoch(self) -> int:
        return self._store.state.epoch

    @property
    def dict_no(self) -> int:
        return self._store.state.dict_no

    def streams(self) -> Mapping[str, StreamState]:
        state = self._store.state
        found: dict[str, StreamState] = {}
        for stream in self._streams:
            oldest = self._store.reader.oldest(stream, state.epoch)
            following = state.next[stream]
            found[stream] = StreamState(oldest or following, following - 1, state.lost[stream])
        return found

    def mark(self, stream: str) -> tuple[int, int]:
        return self._store.state.epoch, self._store.state.next[stream] - 1

    def next_segment(self, stream: str, after: tuple[int, int], limit: int = 1000) -> Segment | None:
        epoch, number = after[0], after[1] + 1
        while True:
            done = self._done.get((self.name, stream, epoch), ())
            number = ranges.next_missing(done, number)
            found = self._store.reader.find(stream, epoch, number)
            if found is None:
                return None
            if found.epoch != epoch:
                epoch, number = found.epoch, 1
                continue
            if found.first > number:
                number = found.first
                if ranges.next_missing(done, number) != number:
                    continue
            segment = self._read(stream, found)
            if segment is None:  # damaged or just dropped: what is after it goes on
                number = (found.header.last if found.header else found.first) + 1
                continue
            stop = ranges.next_present(done, number)
            last = segment.last if stop is None else min(segment.last, stop - 1)
            return cut(segment, number, last, max(1, limit))

    def _read(self, stream: str, found: Found) -> Segment | None:
        try:
            if found.header is not None:
                return self._store.reader.segment(stream, found.epoch, found.first)
        except StoreDamaged:
            pass
        self._store.report_damaged(stream, found.epoch, found.first)
        return None

    def done(self, stream: str, epoch: int, first: int, last: int) -> None:
        state = self._store.state
        if epoch > state.epoch or first < 1 or last < first:
            return
        if epoch == state.epoch:
            last = min(last, state.next[stream] - 1)
        if last >= first:
            key = (self.name, stream, epoch)
            self._pass(key, first, last)
            self._store.move(key, first, last)

    def _pass(self, key: CursorKey, first: int, last: int) -> None:
        self._done[key] = ranges.bounded(ranges.add(self._done.get(key, ()), first, last))

    def settle(self, stream: str, epoch: int, first: int, last: int) -> None:
        """The writer moved this cursor: a gap record or a deletion took these numbers."""
        self._pass((self.name, stream, epoch), first, last)

    def holes(self, stream: str) -> int:
        return sum(
            max(0, len(done) - (1 if done and done[0][0] == 1 else 0))
            for key, done in self._done.items()
            if key[1] == stream
        )

    def gaps(self) -> Sequence[Gap]:
        waiting = [
            record
            for key, records in self._store.state.gaps.items()
            if key[0] == self.name
            for record in records
            if (key, record) not in self._acked
        ]
        return sorted(waiting, key=lambda record: (record.epoch, record.t1, record.stream, record.first or 0))

    def gap_done(self, gap: Gap) -> None:
        key = (self.name, gap.stream, gap.epoch)
        if gap in self._store.state.gaps.get(key, ()):
            self._acked.add((key, gap))
            self._store.gap_ack(key, gap)

    def committed(self) -> None:
        """After a commit: acknowledgements whose record is gone need no remembering."""
        if self._acked:
            gaps = self._store.state.gaps
            self._acked = {(key, gap) for key, gap in self._acked if gap in gaps.get(key, ())}

    def refuse(self, stream: str, epoch: int, first: int, last: int, why: str, code: int = 0) -> None:
        key = (self.name, stream, epoch)
        self._store.refuse(key, first, last, why, code)
        self._pass(key, first, last)

    def backlog(self) -> Backlog:
        readings = size = 0
        oldest: int | None = None
        reader = self._store.reader
        for stream in self._streams:
            waiting = held = 0
            for epoch, last in reader.epochs(stream):
                done = self._done.get((self.name, stream, epoch), ())
                first = reader.oldest(stream, epoch) or 1
                here = ranges.count(ranges.missing(done, first, last))
                waiting += here
                held += last - first + 1
                if here:
                    found = reader.find(stream, epoch, ranges.next_missing(done, first))
                    if found is not None and found.header is not None:
                        oldest = found.header.t0 if oldest is None else min(oldest, found.header.t0)
            readings += waiting
            if waiting:
                size += reader.stream_bytes(stream) * waiting // held
        return Backlog(readings, size, oldest)

    def aliases(self) -> Mapping[int, AliasRow]:
        return {
            alias.row.alias: alias.row
            for alias in self._store.state.aliases.values()
            if alias.until is None or self._awaits(alias.until)
        }

    def _awaits(self, until: tuple[int, int]) -> bool:
        """Whether readings up to this number of telemetry may still come."""
        for epoch, last in self._store.reader.epochs("telemetry"):
            if epoch > until[0]:
                break
            upto = min(last, until[1]) if epoch == until[0] else last
            done = self._done.get((self.name, "telemetry", epoch), ())
            first = self._store.reader.oldest("telemetry", epoch) or 1
            if ranges.missing(done, first, upto):
                return True
        return False

    def state(self, key: str) -> Any:
        if key not in self._values:
            self._values[key] = self._store.table("consumer").get(f"{self.name}/{key}")
        return self._values[key]

    async def set_state(self, key: str, value: Any) -> None:
        value = rows.unpack(rows.pack(value))  # a copy of its own, and what a reader will see after a restart

        def write(tx: Work) -> None:
            tx.put("consumer", f"{self.name}/{key}", value)

        await self._store.submit(write, Level.NOW)
        self._values[key] = value

    def commits(self) -> int:
        return self._store.commits

    async def wait_commit(self, seen: int) -> int:
        return await self._store.wait_commit(seen)
