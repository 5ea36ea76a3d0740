"""What the writer knows of numbers, cursors and gaps between two commits.

A State that was committed is never changed again: a transaction works on a copy, and the copy takes its place when
the commit is on disk. So the event loop may read the last one without a lock.
"""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.journal import STREAMS, AliasRow, Gap
from gateway.store.ranges import Ranges

CursorKey = tuple[str, str, int]
"""Consumer, stream, epoch."""


class ConsumerRow(Struct, frozen=True):
    """A known consumer. A required one holds segments until it is done with them."""

    name: str
    required: bool
    streams: tuple[str, ...]


class Alias(Struct, frozen=True):
    """A tag's number; `until`: (epoch, telemetry number) after which no reading can carry it, None while live."""

    row: AliasRow
    until: tuple[int, int] | None = None


class State(Struct):
    """All small facts of the journal. `serial` counts commits over the store's life."""

    epoch: int
    openings: int = 0
    serial: int = 0
    next: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 1))
    lost: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    """Numbers of this epoch in a gap record of at least one consumer."""
    consumers: dict[str, ConsumerRow] = field(default_factory=dict)
    cursors: dict[CursorKey, Ranges] = field(default_factory=dict)
    gaps: dict[CursorKey, tuple[Gap, ...]] = field(default_factory=dict)
    """Sorted by first number; a record without one comes first."""
    aliases: dict[tuple[str, str], Alias] = field(default_factory=dict)
    dict_no: int = 0
    highest_alias: int = 0
    past: dict[int, dict[str, int]] = field(default_factory=dict)
    """Next numbers of the epochs before this one, the newest few."""

    def copy(self) -> State:
        return replace(
            self,
            next=dict(self.next),
            lost=dict(self.lost),
            consumers=dict(self.consumers),
            cursors=dict(self.cursors),
            gaps=dict(self.gaps),
            aliases=self.aliases,  # replaced as a whole by the few operations that change it
        )

    def takers(self, stream: str) -> list[ConsumerRow]:
        """The required consumers of a stream."""
        return [row for row in self.consumers.values() if row.required and stream in row.streams]
