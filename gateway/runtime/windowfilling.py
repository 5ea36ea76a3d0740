"""New windows of a rule book that was switched in while the gateway runs: filled from the journal.

Without this a window over an hour would be blind for an hour after each `apply`. What arrives while the journal is
walked through is noted and comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.clock import boot_id
from gateway.model import Batch
from gateway.store import Store
from gateway.store.arrivals import Arrival, Chosen, Missing, Span
from rules.engine import Engine
from rules.values import GOOD_BELOW, Instant
from rules.windows import Window, WindowSpec, make_window

_MARGIN_MS = 3_600_000
"""How much before a window's begin is looked for the value that held there, at least."""


class Reading(Struct, frozen=True):
    """One reading of a tag, as windows take it."""

    tag: str
    value: Any
    good: bool
    true_at: int
    now: Instant


class Filling:
    """The filling of new windows of one engine, from its making on. `batch` notes what comes meanwhile."""

    def __init__(self, engine: Engine, windows: Mapping[WindowSpec, Window]) -> None:
        self._windows = dict(windows)
        self._tags = {spec.tag for spec in windows}
        self._start = engine.now
        self._live: list[Reading] = []

    def batch(self, batch: Batch, at: int, offset: int) -> None:
        """A batch has arrived."""
        quality = batch.quality or [0] * len(batch.values)
        true_at = at - max(0, at + offset - batch.ts)
        for tag, value, code in zip(batch.tags, batch.values, quality, strict=True):
            if tag.name in self._tags:
                now = Instant(at, at + offset)
                self._live.append(Reading(tag.name, value, int(code) < GOOD_BELOW, true_at, now))

    async def run(self, store: Store) -> None:
        """Walk through the journal, then give the windows what was found. Returns with them up to date."""
        offset = self._start.wall - self._start.at
        size = max(spec.size_ms + spec.hop_ms for spec in self._windows)
        begin = self._start.at - size - max(size, _MARGIN_MS)
        shadows = {
            spec: make_window(spec, self._start.at - spec.size_ms - spec.hop_ms, offset) for spec in self._windows
        }
        await store.commit()
        span = Span(max(0, begin + offset))
        events = store.arrivals().entries("event", span)
        begun = [row["ts"] async for row in events if not isinstance(row, Missing) and row.get("kind") == "start"]
        walk = _Walk(shadows, [ts - offset for ts in begun])
        async for part in store.arrivals().batches(span, store.aliases(), Chosen(tags=self._tags)):
            if not isinstance(part, Arrival):
                continue
            at = part.at_on(boot_id(), offset)
            if at > self._start.at:
                break
            walk.give(part, at)
        walk.pass_starts(self._start.at)
        self._finish(walk)

    def _finish(self, walk: _Walk) -> None:
        """Nothing else runs meanwhile: what was noted comes after the journal, and the windows take all of it."""
        for reading in self._live:
            for spec, window in walk.windows.items():
                if spec.tag == reading.tag:
                    window.add(reading.true_at, reading.value, reading.good, reading.now)
        for spec, window in self._windows.items():
            window.restore(walk.windows[spec].state(), 0)
            window.watched_since(walk.watched_since(spec, self._start.at))


class _Walk:
    """Windows on their way through the journal. `starts`: when the gateway began; before each nobody watched."""

    def __init__(self, windows: Mapping[WindowSpec, Window], starts: list[int]) -> None:
        self.windows = windows
        self._starts = sorted(starts)
        self._first: int | None = None
        self._last = 0
        self._blind: list[tuple[int, int]] = []

    def give(self, part: Arrival, at: int) -> None:
        """The next batch."""
        self.pass_starts(at)
        self._first = at if self._first is None else self._first
        self._last = at
        now = Instant(at, at + part.offset)
        true_at = at - max(0, at + part.offset - part.ts)
        quality = part.quality or [0] * len(part.tags)
        for path, value, code in zip(part.tags, part.values, quality, strict=True):
            name = f"{part.device}.{path}"
            for spec, window in self.windows.items():
                if spec.tag == name:
                    window.add(true_at, value, code < GOOD_BELOW, now)

    def pass_starts(self, at: int) -> None:
        """The gateway began anew before `at`: from the last batch until then there is a gap."""
        while self._starts and self._starts[0] <= at:
            start = self._starts.pop(0)
            if self._first is not None and start > self._last:
                self._blind.append((self._last, start))
                for window in self.windows.values():
                    window.add(self._last, None, False, Instant(self._last, self._last))  # noqa: FBT003

    def watched_since(self, spec: WindowSpec, end: int) -> int:
        """Since when a window of that size knows its readings without a hole as wide as itself."""
        width = spec.size_ms + spec.hop_ms
        since = max(end if self._first is None else self._first, end - width)
        return max([since, *(start for last, start in self._blind if start - last > spec.size_ms)])
