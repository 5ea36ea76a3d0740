"""What a store holds, for whoever reads it on the event loop: what is committed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.journal import AliasRow, Segment
from gateway.store import history
from gateway.store.arrivals import Arrivals
from gateway.store.memory import Table
from gateway.store.reader import Reader
from gateway.store.state import State


class Holding:
    """The reading side of a store. `state`: as of the last commit; `reader`: what lies on disk."""

    state: State
    reader: Reader

    def report_damaged(self, stream: str, epoch: int, first: int) -> None:
        """A segment failed its check while it was read."""
        raise NotImplementedError

    def consumers(self) -> list[str]:
        """Names of all known cursors, also of uplinks that are not configured any more."""
        return sorted(self.state.consumers)

    @property
    def dict_no(self) -> int:
        """Number of the alias dictionary; grows by one whenever aliases are added."""
        return self.state.dict_no

    def aliases(self) -> dict[int, AliasRow]:
        """All aliases ever given."""
        return {alias.row.alias: alias.row for alias in self.state.aliases.values()}

    def table(self, name: str) -> Table:
        """Committed rows of a small table."""
        return Table(self.reader, name)

    def read_history(self, stream: str, since_ms: int = 0, limit: int = 10_000) -> Iterator[Segment]:
        """Held segments of a stream with readings at or after `since_ms`, oldest first, up to `limit` numbers."""
        return history.segments(self.reader, stream, since_ms, limit, self.report_damaged)

    def arrivals(self) -> Arrivals:
        """What is held now, in the order in which it came."""
        return Arrivals(self.reader, self.state, self.report_damaged)

    def entries_view(self, stream: str, *, since_ms: int = 0, limit: int = 20) -> list[dict[str, Any]]:
        """The latest entries of a stream for people, oldest first; telemetry entries name device and tags."""
        return history.latest_entries(self.reader, stream, since_ms, limit, self.aliases(), self.report_damaged)

    def gap_view(self) -> list[dict[str, Any]]:
        """All gap records that wait for an acknowledgement, with their consumer."""
        return history.gap_rows(self.state)
