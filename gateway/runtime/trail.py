"""The audit entries that the gateway holds: listed, and their chain checked. Long walks let everybody else run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import Struct

from gateway import audit
from gateway.chain import Chain, Head, Hole, Range, Verdict
from gateway.errors import StoreDamaged
from gateway.journal import Segment
from gateway.store import Store, dropped
from gateway.store.segments import Header

MAX_ROWS = 10_000
_ROUNDS = 10
"""So often a check follows what was written while it ran; an end that is still moving then is judged as it is."""


class Wanted(Struct, frozen=True):
    """Which entries are asked for; None is any."""

    since_ms: int = 0
    who: str | None = None
    device: str | None = None
    limit: int = 20

    def takes(self, entry: dict[str, Any]) -> bool:
        return (
            entry.get("kind") == "audit"
            and entry.get("ts", 0) >= self.since_ms
            and (self.who is None or entry.get("who") == self.who)
            and (self.device is None or entry.get("device") == self.device)
        )


class Trail:
    """Audit entries of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._damaged: list[Hole] = []

    async def rows(self, wanted: Wanted) -> list[dict[str, Any]]:
        """The newest entries, newest last, each with its `epoch`."""
        found: list[dict[str, Any]] = []
        limit = max(1, min(wanted.limit, MAX_ROWS))
        for header in self._store.reader.headers_back(audit.STREAM):
            segment = self._segment(header) if header.t1 >= wanted.since_ms else None
            if segment is not None:
                chosen = (row for row in reversed(segment.rows) if wanted.takes(row))
                found.extend({"epoch": segment.epoch, **row} for row in chosen)
            if len(found) >= limit:
                break
            await asyncio.sleep(0)
        return found[:limit][::-1]

    def gaps(self) -> list[Hole]:
        """What the store has dropped of its event streams, of all epochs."""
        table = self._store.table(dropped.TABLE)
        start = dropped.name(audit.STREAM, 0).removesuffix("0")
        return [
            Hole(int(key.removeprefix(start)), *row) for key, rows in table.items(start).items() for row in rows or ()
        ]

    async def verify(self) -> Verdict:
        """Recompute the chain over everything that is held."""
        chain = Chain(self._explained, self._held)
        heads = self._heads()
        for _ in range(_ROUNDS):
            async for epoch, entry in self._entries(chain):
                chain.take(epoch, entry)
            heads = self._heads()
            newest = max(heads, default=0)
            if newest not in heads or chain.fault or chain.at(newest) >= heads[newest].seq:
                break
        return chain.finish(heads)

    async def _entries(self, chain: Chain) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        for header in self._store.reader.headers(audit.STREAM):
            if header.last <= chain.at(header.epoch):
                continue
            segment = self._segment(header)
            for row in segment.rows if segment is not None else ():
                if row.get("kind") == "audit" and row["seq"] > chain.at(header.epoch):
                    yield header.epoch, row
            await asyncio.sleep(0)

    def _segment(self, header: Header) -> Segment | None:
        try:
            return self._store.reader.segment(header.stream, header.epoch, header.first)
        except StoreDamaged:
            self._store.report_damaged(header.stream, header.epoch, header.first)
            self._damaged.append(Hole(header.epoch, header.first, header.last, "disk"))
            return None

    def _explained(self, epoch: int) -> Sequence[Hole]:
        return [hole for hole in (*self.gaps(), *self._damaged) if hole.epoch == epoch]

    def _held(self, epoch: int) -> Sequence[Range]:
        return self._store.reader.held(audit.STREAM, epoch)

    def _heads(self) -> dict[int, Head]:
        rows = self._store.table(audit.TABLE).items()
        return {int(epoch): Head(int(epoch), *row) for epoch, row in rows.items() if epoch.isdigit() and row}
