"""The real store under the same machine: files on disk, a crash is a store that was abandoned, not closed."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import tempfile
from pathlib import Path

from gateway.errors import StoreFull
from gateway.model import Batch, Block, Tag, TagSpec, ValueType
from gateway.settings.types import JournalSettings, StoreSettings
from gateway.store import Store
from gateway.store.retention import Retention
from gateway.testing import ManualClock
from tests.model.terms import Entry, GapRecord

_FILES = ("store", "store.mirror")


class RealJournal:
    """Implements terms.Journal on gateway.store.Store."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="journal-model-"))
        self._loop = asyncio.new_event_loop()
        self._clock = ManualClock()
        self._tags: list[str] = []
        self._limit: int | None = None
        self._open()

    def _open(self) -> None:
        journal = JournalSettings(max_bytes=4_000_000, max_age_s=10.0**10, min_age_s=10.0**10)
        self._store = Store(StoreSettings(self._directory / "state", journal=journal), self._clock, release_ms=0)
        self._store.open()
        self._consumers = {name: self._store.consumer(name) for name in self._store.consumers()}

    def bind(self, tags: list[str]) -> list[int]:
        return self._store.bind_aliases([("dev", tag) for tag in tags])

    def produce(self, ts: int, tags: list[int], values: list[int]) -> None:
        known = self._store.aliases()
        shared = [
            Tag("dev", known[alias].tag, alias, alias, TagSpec(known[alias].tag, ValueType.UINT32, None))
            for alias in tags
        ]
        self._store.append(Batch(Block("dev", shared), values, ts, self._clock.mono()))

    def commit(self) -> bool:
        if self._limit is None:
            return self._commit()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._limit, hard))
        try:
            return self._commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)

    def _commit(self) -> bool:
        try:
            self._loop.run_until_complete(self._store.commit())
        except StoreFull:
            return False
        return True

    def fill_disk(self) -> None:
        """No file may be written beyond its first page: every commit fails where a full disk would fail it."""
        self._limit = 4096

    def free_disk(self) -> None:
        self._limit = None

    def drop(self) -> None:
        retention = Retention(4_000_000, 10**13, 10**13)
        self._loop.run_until_complete(self._store._change(lambda attempt: retention.free(attempt, 1)))

    def crash(self) -> None:
        self._store.abandon()
        self._open()

    def restart(self) -> None:
        self._loop.run_until_complete(self._store.close())
        self._open()

    def copy(self) -> None:
        self._loop.run_until_complete(self._store.close())
        aside = self._directory / "copy"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(self._directory / "state" / "store", aside)
        self._open()

    def restore(self) -> None:
        self._store.abandon()
        shutil.rmtree(self._directory / "state" / "store")
        shutil.copytree(self._directory / "copy", self._directory / "state" / "store")
        self._open()

    def step_clock(self, seconds: int) -> None:
        self._clock.step_wall(seconds)
        self._store.observe_clock()

    def add(self, name: str, start: str) -> None:
        self._consumers[name] = self._store.consumer(name, start=start)

    def forget(self, name: str) -> None:
        del self._consumers[name]
        self._loop.run_until_complete(self._store.forget(name))

    def epoch(self) -> int:
        return self._store.state.epoch

    def last(self) -> int:
        return self._store.state.next["telemetry"] - 1

    def held(self) -> set[tuple[int, int]]:
        headers = self._store.reader.headers("telemetry")
        return {(header.epoch, n) for header in headers for n in range(header.first, header.last + 1)}

    def done(self, name: str) -> set[tuple[int, int]]:
        ranges = self._consumers[name]._done
        return {
            (epoch, n)
            for (_, stream, epoch), kept in ranges.items()
            if stream == "telemetry"
            for low, high in kept
            for n in range(low, high + 1)
        }

    def ranges(self, name: str) -> list[list[tuple[int, int]]]:
        return [list(kept) for kept in self._consumers[name]._done.values()]

    def read(self, name: str, after: tuple[int, int], limit: int) -> list[Entry]:
        segment = self._consumers[name].next_segment("telemetry", after, limit)
        if segment is None:
            return []
        entries: list[Entry] = []
        at = 0
        for n, ts in zip(segment.border_n, segment.border_ts, strict=True):
            tags, values = tuple(segment.aliases[at : at + n]), tuple(segment.values[at : at + n])
            entries.append(Entry(segment.epoch, segment.first + at, ts, tags, values))
            at += n
        return entries

    def acknowledge(self, name: str, epoch: int, first: int, last: int) -> None:
        self._consumers[name].done("telemetry", epoch, first, last)

    def gaps(self, name: str) -> list[GapRecord]:
        return [
            GapRecord(gap.epoch, gap.first, gap.last)
            for gap in self._consumers[name].gaps()
            if gap.stream == "telemetry"
        ]

    def gap_acknowledged(self, name: str, gap: GapRecord) -> None:
        for known in self._consumers[name].gaps():
            if known.stream == "telemetry" and (known.epoch, known.first, known.last) == (
                gap.epoch,
                gap.first,
                gap.last,
            ):
                self._consumers[name].gap_done(known)

    def end(self) -> None:
        self._store.abandon()
        self._loop.close()
        shutil.rmtree(self._directory)
