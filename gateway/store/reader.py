"""Reading committed segments on the event loop: short read transactions that copy out and close."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from gateway.errors import StoreDamaged
from gateway.journal import Segment
from gateway.store.environment import Environment
from gateway.store.segments import Header, read_header, read_segment, segment_key, split_segment_key

DECODED = 4
"""Segments kept decoded: one that is sent in several cuts is decoded once."""


class Found(Struct, frozen=True):
    """Where a number is: the stored segment that holds it, or the first one after it."""

    epoch: int
    first: int
    header: Header | None
    """None when the header fails its check."""


class Reader:
    """Lookups by number and walks by time."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._decoded: OrderedDict[tuple[str, int, int], Segment] = OrderedDict()

    def find(self, stream: str, epoch: int, number: int) -> Found | None:
        """The segment that holds `number` of `epoch`, else the first above it, in this or a later epoch."""
        with self._environment.read() as tx:
            cursor = tx.cursor(db=self._environment.streams[stream])
            wanted = segment_key(epoch, number)
            present = cursor.set_range(wanted)
            if present and bytes(cursor.key()) == wanted:
                return _found(cursor)
            if cursor.prev() if present else cursor.last():
                before = _found(cursor)
                if before.epoch == epoch and before.header is not None and before.header.last >= number:
                    return before
            return _found(cursor) if cursor.set_range(wanted) else None

    def segment(self, stream: str, epoch: int, first: int) -> Segment | None:
        """A whole segment, None when it is gone. Raises StoreDamaged. Treat it as frozen: it may be kept."""
        key = (stream, epoch, first)
        known = self._decoded.get(key)
        if known is not None:
            self._decoded.move_to_end(key)
            return known
        with self._environment.read() as tx:
            raw = tx.get(segment_key(epoch, first), db=self._environment.streams[stream])
            if raw is None:
                return None
            raw = bytes(raw)
        segment = read_segment(raw)
        if (segment.stream, segment.epoch, segment.first) != key:
            raise StoreDamaged("a segment stands under a key that is not its own")
        self._decoded[key] = segment
        if len(self._decoded) > DECODED:
            self._decoded.popitem(last=False)
        return segment

    def forget(self, stream: str, epoch: int, first: int) -> None:
        self._decoded.pop((stream, epoch, first), None)

    def oldest(self, stream: str, epoch: int) -> int | None:
        """The lowest number held of an epoch."""
        with self._environment.read() as tx:
            cursor = tx.cursor(db=self._environment.streams[stream])
            if not cursor.set_range(segment_key(epoch, 0)):
                return None
            found, first = split_segment_key(bytes(cursor.key()))
            return first if found == epoch else None

    def epochs(self, stream: str) -> list[tuple[int, int]]:
        """(epoch, last number held) of each epoch that has segments, oldest first."""
        found: list[tuple[int, int]] = []
        with self._environment.read() as tx:
            cursor = tx.cursor(db=self._environment.streams[stream])
            at = 0
            while cursor.set_range(segment_key(at, 0)):
                epoch, _ = split_segment_key(bytes(cursor.key()))
                if cursor.set_range(segment_key(epoch + 1, 0)):
                    cursor.prev()
                else:
                    cursor.last()
                last = _found(cursor)
                found.append((epoch, last.header.last if last.header else last.first))
                at = epoch + 1
        return found

    def held(self, stream: str, epoch: int) -> list[tuple[int, int]]:
        """Ranges of held numbers of an epoch; adjacent segments melt together."""
        found: list[tuple[int, int]] = []
        for header in self.headers(stream, epoch):
            if header.epoch != epoch:
                break
            if found and found[-1][1] + 1 == header.first:
                found[-1] = (found[-1][0], header.last)
            else:
                found.append((header.first, header.last))
        return found

    def headers(self, stream: str, epoch: int = 0, first: int = 0) -> Iterator[Header]:
        """Headers from number `first` of `epoch` on, oldest first, in pages: no transaction is open while the caller
        works.
        """
        at: bytes | None = segment_key(epoch, first)
        while at is not None:
            page: list[Header] = []
            with self._environment.read() as tx:
                cursor = tx.cursor(db=self._environment.streams[stream])
                more = cursor.set_range(at)
                at = None
                while more:
                    if len(page) == 256:
                        at = bytes(cursor.key())
                        break
                    found = _found(cursor)
                    if found.header is not None:
                        page.append(found.header)
                    more = cursor.next()
            yield from page

    def headers_back(self, stream: str) -> Iterator[Header]:
        """Headers, newest first, one short transaction each."""
        at: bytes | None = None
        while True:
            with self._environment.read() as tx:
                cursor = tx.cursor(db=self._environment.streams[stream])
                before = cursor.prev if at is not None and cursor.set_range(at) else cursor.last
                if not before():
                    return
                at = bytes(cursor.key())
                found = _found(cursor)
            if found.header is not None:
                yield found.header

    def stream_bytes(self, stream: str) -> int:
        with self._environment.read() as tx:
            stat = tx.stat(self._environment.streams[stream])
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return int(pages * self._environment.page_size)

    def row(self, key: bytes) -> bytes | None:
        with self._environment.read() as tx:
            raw = tx.get(key)
            return None if raw is None else bytes(raw)

    def rows(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """All rows whose key begins with `prefix`."""
        found: list[tuple[bytes, bytes]] = []
        with self._environment.read() as tx:
            cursor = tx.cursor()
            if cursor.set_range(prefix):
                for key, value in cursor:
                    if bytes(key[: len(prefix)]) != prefix:
                        break
                    found.append((bytes(key), bytes(value)))
        return found


def _found(cursor: Any) -> Found:
    epoch, first = split_segment_key(bytes(cursor.key()))
    try:
        header = read_header(cursor.value())
    except StoreDamaged:
        header = None
    return Found(epoch, first, header)
