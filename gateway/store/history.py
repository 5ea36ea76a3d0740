"""Reading back by time, for `fieldpost journal` and replay: headers first, bodies only where they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.errors import StoreDamaged
from gateway.journal import Segment
from gateway.store.reader import Reader


def read_history(
    reader: Reader, stream: str, since_ms: int, limit: int, damaged: Callable[[str, int, int], None]
) -> Iterator[Segment]:
    """Whole segments with something at or after `since_ms`, oldest first, until `limit` numbers were given."""
    given = 0
    for header in reader.headers(stream):
        if given >= limit:
            return
        if header.t1 < since_ms:
            continue
        try:
            segment = reader.segment(stream, header.epoch, header.first)
        except StoreDamaged:
            damaged(stream, header.epoch, header.first)
            continue
        if segment is not None:
            given += segment.n
            yield segment
