"""A gateway.journal.Consumer in memory: for tests of the uplink alone. Numbers, entries, cursor, gaps; no disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.journal import STREAMS, AliasRow, Backlog, Gap, Segment, StreamState

EPOCH = 1_794_000_000


class MemoryJournal:
    """Feed it with `add` and `add_entry`; each is one commit."""

    def __init__(self, name: str = "cloud", epoch: int = EPOCH) -> None:
        self.name = name
        self._epoch = epoch
        self.segments: dict[str, list[Segment]] = {stream: [] for stream in STREAMS}
        self.last = dict.fromkeys(STREAMS, 0)
        self.finished: dict[str, set[int]] = {stream: set() for stream in STREAMS}
        self.gap_rows: list[Gap] = []
        self.alias_rows: dict[int, AliasRow] = {}
        self.dictionary = 0
        self._numbers: dict[tuple[str, str], int] = {}
        self.states: dict[str, Any] = {}
        self._low = dict.fromkeys(STREAMS, 0)
        self.most_holes = 0
        self.refused: list[tuple[str, int, int, str, int]] = []
        self._commits = 0
        self._waiters: list[asyncio.Future[None]] = []

    # -- filling

    def alias(self, device: str, tag: str) -> int:
        if (known := self._numbers.get((device, tag))) is not None:
            return known
        alias = self._numbers[device, tag] = len(self.alias_rows) + 10
        self.alias_rows[alias] = AliasRow(alias, device, tag, live=True)
        self.dictionary += 1
        return alias

    def add(
        self,
        device: str,
        values: Mapping[str, Any],
        ts: int = 1_795_000_000_000,
        quality: Mapping[str, int] | None = None,
        *,
        commit: bool = True,
    ) -> None:
        """One entry: the tags of one device at one time."""
        aliases = [self.alias(device, tag) for tag in values]
        marks = {i: (quality or {})[tag] for i, tag in enumerate(values) if tag in (quality or {})}
        first = self.last["telemetry"] + 1
        n = len(values)
        self.segments["telemetry"].append(
            Segment(
                "telemetry", self._epoch, first, n, ts, ts, self.dictionary, "5f0c9a1e", 0, "s",
                [n], [ts], aliases, list(values.values()), marks,
            )
        )  # fmt: skip
        self.last["telemetry"] += n
        if commit:
            self.commit()

    def add_segment(self, segment: Segment) -> None:
        assert segment.first == self.last[segment.stream] + 1
        self.segments[segment.stream].append(segment)
        self.last[segment.stream] += segment.n
        self.commit()

    def add_entry(self, stream: str, entry: dict[str, Any]) -> None:
        n = entry.get("n", 1)
        first = self.last[stream] + 1
        row = {"seq": first, **entry}
        self.segments[stream].append(
            Segment(
                stream, self._epoch, first, n, row["ts"], row["ts"], self.dictionary, "5f0c9a1e", 0, "s", rows=[row]
            )
        )
        self.last[stream] += n
        self.commit()

    def drop(self, stream: str, upto: int) -> Gap:
        """Forget everything up to a number, as the byte cap would: a gap record tells."""
        lost = [n for n in range(1, upto + 1) if n not in self.finished[stream]]
        first, n = lost[0], len(lost)
        for old in [row for row in self.gap_rows if (row.stream, row.last, row.why) == (stream, first - 1, "size")]:
            assert old.first is not None
            assert old.n is not None
            self.gap_rows.remove(old)  # adjacent records with one reason merge, in flight or not
            first, n = old.first, old.n + n
        gap = Gap(stream, self._epoch, first, lost[-1], n, 1, 2, "size")
        if lost:
            self.done(stream, self._epoch, lost[0], lost[-1])
        self.segments[stream] = [segment for segment in self.segments[stream] if segment.last > upto]
        self.gap_rows.append(gap)
        self.commit()
        return gap

    def commit(self) -> None:
        self._commits += 1
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # -- gateway.journal.Consumer

    @property
    def epoch(self) -> int:
        return self._epoch

    def streams(self) -> Mapping[str, StreamState]:
        return {
            stream: StreamState(segments[0].first if segments else self.last[stream] + 1, self.last[stream], 0)
            for stream, segments in self.segments.items()
        }

    def mark(self, stream: str) -> tuple[int, int]:
        return self._epoch, self.last[stream]

    def next_segment(self, stream: str, after: tuple[int, int], limit: int = 1000) -> Segment | None:
        from gateway.uplink.slices import cut

        done = self.finished[stream]
        for segment in self.segments[stream]:
            if (segment.epoch, segment.last) <= after or segment.last <= self._low[stream]:
                continue
            rest: Segment | None = segment
            while rest is not None:
                entry, rest = cut(rest, 1)
                if (entry.epoch, entry.first) <= after or entry.first in done:
                    continue
                return self._run(entry, rest, done, limit)
        return None

    @staticmethod
    def _run(head: Segment, rest: Segment | None, done: set[int], limit: int) -> Segment:
        from gateway.uplink.slices import cut, join

        parts, n = [head], head.n
        while rest is not None:
            entry, rest = cut(rest, 1)
            if entry.first in done or n + entry.n > limit:
                break
            parts.append(entry)
            n += entry.n
        return join(parts)

    def done(self, stream: str, epoch: int, first: int, last: int) -> None:
        assert epoch == self._epoch
        finished = self.finished[stream]
        finished.update(range(first, last + 1))
        while self._low[stream] + 1 in finished:
            self._low[stream] += 1

    def holes(self, stream: str) -> int:
        """Ranges done above the first number that is not."""
        done, low = self.finished[stream], self._low[stream]
        if len(done) == low:
            return 0
        holes = sum(1 for n in range(low + 2, self.last[stream] + 1) if n in done and n - 1 not in done)
        self.most_holes = max(self.most_holes, holes)
        return holes

    def gaps(self) -> Sequence[Gap]:
        return list(self.gap_rows)

    def gap_done(self, gap: Gap) -> None:
        if gap in self.gap_rows:
            self.gap_rows.remove(gap)

    def refuse(self, stream: str, epoch: int, first: int, last: int, why: str, code: int = 0) -> None:
        self.refused.append((stream, first, last, why, code))
        self.done(stream, epoch, first, last)
        self.gap_rows.append(Gap(stream, epoch, first, last, last - first + 1, 1, 2, why))
        self.commit()

    def backlog(self) -> Backlog:
        waiting = sum(
            self.last[stream] - len(self.finished[stream])
            for stream in STREAMS
        )  # fmt: skip
        return Backlog(waiting, waiting * 10, 1 if waiting else None)

    def aliases(self) -> Mapping[int, AliasRow]:
        return self.alias_rows

    @property
    def dict_no(self) -> int:
        return self.dictionary

    def state(self, key: str) -> Any:
        return self.states.get(key)

    async def set_state(self, key: str, value: Any) -> None:
        self.states[key] = value
        self.commit()

    def commits(self) -> int:
        return self._commits

    async def wait_commit(self, seen: int) -> int:
        while self._commits <= seen:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return self._commits
