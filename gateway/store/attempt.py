"""One write transaction: everything that changes journal and tables goes through here.

An Attempt works on a copy of the State. Rows of cursors, gaps and numbers are written once, at the end, however often
they changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.errors import StoreDamaged, StoreError
from gateway.journal import STREAMS, Gap
from gateway.store import dropped, gaps, ranges, rows
from gateway.store.environment import Environment
from gateway.store.packing import pack_entries, pack_entry
from gateway.store.segments import Header, Packed, Stamp, read_header, segment_key
from gateway.store.state import ConsumerRow, CursorKey, State

Settled = tuple[str, str, int, int, int]
"""Consumer, stream, epoch, first, last: numbers that a cursor has passed without an acknowledgement."""


class Attempt:
    """A transaction in the making; `close` writes the collected rows. The caller commits or aborts `tx`."""

    def __init__(self, environment: Environment, tx: Any, state: State, stamp: Stamp, mono_ms: int) -> None:
        self.environment = environment
        self.tx = tx
        self.state = state
        self.settled: list[Settled] = []
        self.dropped = 0
        self.written = 0
        self._stamp = stamp
        self._mono = mono_ms
        self._entries: dict[str, list[tuple[bytes, int, int]]] = {stream: [] for stream in STREAMS}
        self._dirty_cursors: set[CursorKey] = set()
        self._dirty_gaps: dict[CursorKey, tuple[Gap, ...]] = {}

    # --- what is put in

    def entry(self, stream: str, packed: bytes, n: int, ts: int) -> int:
        """Take one entry; returns its number. It is written when the transaction closes."""
        seq = self.state.next[stream]
        self.state.next[stream] = seq + n
        self._entries[stream].append((packed, n, ts))
        return seq

    def segment(self, packed: Packed) -> None:
        """Store a segment under the next numbers of its stream."""
        first = self.state.next[packed.stream]
        self._put_segment(packed, first)
        self.state.next[packed.stream] = first + packed.n

    def _put_segment(self, packed: Packed, first: int) -> None:
        blob = packed.numbered(self.state.epoch, first, self.state.dict_no)
        key = segment_key(self.state.epoch, first)
        if not self.tx.put(key, blob, db=self.environment.streams[packed.stream], append=True):
            raise StoreDamaged(f"number {first} of {packed.stream} is not above the last stored one")
        self.written += len(blob)

    def put(self, key: bytes, value: Any) -> None:
        blob = rows.pack(value)
        self.tx.put(key, blob)
        self.written += len(key) + len(blob)

    def delete(self, key: bytes) -> None:
        self.tx.delete(key)

    # --- cursors and gaps

    def done(self, cursor: CursorKey, first: int, last: int) -> None:
        """A cursor has passed first..last."""
        known = self.state.cursors.get(cursor, ())
        self.state.cursors[cursor] = ranges.bounded(ranges.add(known, first, last))
        self._dirty_cursors.add(cursor)

    def add_consumer(self, row: ConsumerRow) -> None:
        self.state.consumers[row.name] = row
        self.put(rows.key("consumer", row.name), [row.required, row.streams])

    def drop_cursor(self, cursor: CursorKey) -> None:
        self.state.cursors.pop(cursor, None)
        self._dirty_cursors.add(cursor)

    def set_gaps(self, cursor: CursorKey, records: tuple[Gap, ...]) -> None:
        self._dirty_gaps.setdefault(cursor, self.state.gaps.get(cursor, ()))
        if records:
            self.state.gaps[cursor] = records
        else:
            self.state.gaps.pop(cursor, None)

    def gap(self, cursor: CursorKey, first: int, last: int, t0: int, t1: int, why: str) -> None:
        """One record for numbers a consumer will never get; its cursor passes them."""
        consumer, stream, epoch = cursor
        record = Gap(stream, epoch, first, last, last - first + 1, t0, t1, why)
        self.set_gaps(cursor, gaps.merge(self.state.gaps.get(cursor, ()), record))
        self.done(cursor, first, last)
        self.settled.append((consumer, stream, epoch, first, last))

    def give_up(self, stream: str, epoch: int, first: int, last: int, t0: int, t1: int, why: str) -> int:
        """Numbers that no consumer can get any more: a record for each maximal hole of each required consumer.

        Returns how many of the numbers were still awaited by at least one consumer.
        """
        awaited: ranges.Ranges = ()
        for row in self.state.takers(stream):
            cursor = (row.name, stream, epoch)
            for low, high in ranges.missing(self.state.cursors.get(cursor, ()), first, last):
                self.gap(cursor, low, high, t0, t1, why)
                awaited = ranges.add(awaited, low, high)
        lost = ranges.count(awaited)
        if epoch == self.state.epoch:
            self.state.lost[stream] += lost
        self._pass_others(stream, epoch, first, last)
        return lost

    def _pass_others(self, stream: str, epoch: int, first: int, last: int) -> None:
        for row in self.state.consumers.values():
            if not row.required and stream in row.streams:
                self.done((row.name, stream, epoch), first, last)
                self.settled.append((row.name, stream, epoch, first, last))

    def refuse(self, cursor: CursorKey, first: int, last: int, why: str, code: int, now_ms: int) -> None:
        """One consumer gives numbers up: a dead letter, and a record for what it was not done with."""
        lost = 0
        for low, high in ranges.missing(self.state.cursors.get(cursor, ()), first, last):
            self.put(rows.stream_key("dead", *cursor, low), [high, why, code, now_ms])
            self.gap(cursor, low, high, now_ms, now_ms, why)
            lost += high - low + 1
        if cursor[2] == self.state.epoch:
            self.state.lost[cursor[1]] += lost

    def unstored(self, stream: str, n: int, t0: int, t1: int) -> None:
        """Readings that found no room get numbers for one gap record `full` (J22), if anyone is to be told."""
        if not n:
            return
        first = self.state.next[stream]
        self.state.next[stream] = first + n
        self.give_up(stream, self.state.epoch, first, first + n - 1, t0, t1, "full")

    def drop(self, header: Header, why: str) -> None:
        """Delete a segment; whoever still awaited its numbers gets a gap record."""
        dropped.note(self, header.stream, header.epoch, header.first, header.last, why)
        self.tx.delete(segment_key(header.epoch, header.first), db=self.environment.streams[header.stream])
        self.dropped += self.give_up(header.stream, header.epoch, header.first, header.last, header.t0, header.t1, why)

    def drop_damaged(self, stream: str, epoch: int, first: int) -> None:
        """Delete a segment that fails its check: gap `disk` up to the next stored number."""
        db = self.environment.streams[stream]
        key = segment_key(epoch, first)
        raw = self.tx.get(key, db=db)
        if raw is None:
            return
        try:
            header = read_header(raw)
            last, t0, t1 = header.last, header.t0, header.t1
        except StoreDamaged:
            last, t0, t1 = self._before_next(db, epoch, first, stream), 0, 0
        self.tx.delete(key, db=db)
        dropped.note(self, stream, epoch, first, last, "disk")
        self.dropped += self.give_up(stream, epoch, first, last, t0, t1, "disk")

    def _before_next(self, db: Any, epoch: int, first: int, stream: str) -> int:
        cursor = self.tx.cursor(db=db)
        if cursor.set_range(segment_key(epoch, first + 1)):
            found = bytes(cursor.key())
            if found[:8] == segment_key(epoch, 0)[:8]:
                return int.from_bytes(found[8:], "big") - 1
        if epoch == self.state.epoch:
            return self.state.next[stream] - 1
        return first  # the last segment of an old epoch: its length is not known any more

    # --- works

    def run(self, work: Callable[[Work], Any]) -> Any:
        """Run a submitted work in a nested transaction; one that raises is undone alone."""
        numbers = dict(self.state.next)
        counts = {stream: len(entries) for stream, entries in self._entries.items()}
        outer = self.tx
        try:
            with self.environment.write(parent=outer) as nested:
                self.tx = nested
                return work(Work(self))
        except BaseException:
            self.state.next.update(numbers)
            for stream, n in counts.items():
                del self._entries[stream][n:]
            raise
        finally:
            self.tx = outer

    def flush(self) -> None:
        """Write the collected entries as segments."""
        for stream, entries in self._entries.items():
            first = self.state.next[stream] - sum(n for _, n, _ in entries)
            for packed in pack_entries(stream, entries, self._mono, self._stamp):
                self._put_segment(packed, first)
                first += packed.n
            entries.clear()

    def close(self) -> None:
        """Write what was collected: entries, then rows of numbers, cursors and gaps."""
        self.flush()
        for cursor in self._dirty_cursors:
            key = rows.stream_key("cursor", *cursor)
            if cursor in self.state.cursors:
                self.put(key, self.state.cursors[cursor])
            else:
                self.delete(key)
        self._dirty_cursors.clear()
        for cursor, before in self._dirty_gaps.items():
            gaps.write(self, cursor, before, self.state.gaps.get(cursor, ()))
        self._dirty_gaps.clear()
        self.state.serial += 1
        state = self.state
        numbers = [state.epoch, state.serial, state.next, state.lost, state.openings, state.past]
        self.put(rows.key("next"), numbers)


class Work:
    """The transaction as a submitted work sees it (gateway.journal.Tx)."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @property
    def epoch(self) -> int:
        return self._attempt.state.epoch

    def number(self, stream: str) -> int:
        return self._attempt.state.next[stream]

    def append(self, stream: str, entry: dict[str, Any]) -> int:
        if stream not in STREAMS or stream == "telemetry":
            raise StoreError(f"{stream} is not an entry stream")
        n = int(entry.get("n", 1))
        try:
            packed = pack_entry(entry)
        except (TypeError, ValueError, OverflowError) as err:
            raise StoreError(f"an entry of {stream} cannot be stored: {err}") from err
        entry["seq"] = self._attempt.entry(stream, packed, n, int(entry["ts"]))
        return int(entry["seq"])

    def get(self, table: str, key: str) -> Any:
        raw = self._attempt.tx.get(rows.key("row", table, key))
        return None if raw is None else rows.unpack(raw)

    def put(self, table: str, key: str, value: Any) -> None:
        self._attempt.put(rows.key("row", table, key), value)

    def delete(self, table: str, key: str) -> None:
        self._attempt.delete(rows.key("row", table, key))
