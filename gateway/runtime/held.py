"""What the journal still holds of a range of numbers, whoever is done with it."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.errors import StoreDamaged
from gateway.journal import Segment
from gateway.store import Store
from gateway.store.segments import cut


def held(store: Store, stream: str, epoch: int, first: int, last: int) -> Iterator[Segment]:
    """Pieces of stored segments in order. A range that begins or ends inside an entry brings the whole entry."""
    number = first
    if epoch == store.state.epoch:
        last = min(last, store.state.next[stream] - 1)
    while number <= last:
        found = store.reader.find(stream, epoch, number)
        if found is None or found.epoch != epoch or found.first > last:
            return
        segment = None
        try:
            if found.header is not None:
                segment = store.reader.segment(stream, epoch, found.first)
        except StoreDamaged:
            segment = None
        if segment is None:
            store.report_damaged(stream, epoch, found.first)
            number = (found.header.last if found.header is not None else found.first) + 1
            continue
        part = cut(segment, max(number, segment.first), min(last, segment.last), segment.n)
        yield part
        number = part.last + 1
