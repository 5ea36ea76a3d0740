"""Puts the parts of an open store together."""

from __future__ import annotations

import logging

from msgspec import Struct

from gateway.clock import Clock
from gateway.errors import StoreFull
from gateway.settings.types import StoreSettings
from gateway.store.attempt import Attempt
from gateway.store.checkpoint import Checkpoint
from gateway.store.clockwatch import ClockWatch
from gateway.store.environment import Environment
from gateway.store.files import Lock, Marker, Paths
from gateway.store.mirror import Mirror
from gateway.store.reader import Reader
from gateway.store.recovery import Opened, Recovery, Report, record_loss
from gateway.store.reserve import Reserve
from gateway.store.retention import Retention
from gateway.store.writer import Writer

MIN_MAP = 1 << 20
MAX_CHUNK = 1 << 20

_log = logging.getLogger("fieldpost.store")


class Parts(Struct):
    """What is open."""

    lock: Lock
    marker: Marker
    mirror: Mirror
    environment: Environment
    reader: Reader
    writer: Writer
    checkpoint: Checkpoint
    report: Report

    def close(self, *, clean: bool) -> None:
        """Close all files; `clean` says that everything is committed."""
        self.mirror.write(self.writer.state, clean=clean, sync=True)
        if clean:
            self.marker.remove()
        self.abandon()

    def abandon(self) -> None:
        """Close all files as they are."""
        self.mirror.close()
        self.environment.close()
        self.checkpoint.close()
        self.lock.release()


def open_parts(settings: StoreSettings, clock: Clock, watch: ClockWatch, release_ms: int, hold: int) -> Parts:
    """Open everything; on an error nothing stays open."""
    paths = Paths(settings.path)
    lock = Lock(paths.lock)
    lock.acquire()
    try:
        return _open_locked(paths, lock, settings, clock, watch, release_ms, hold)
    except BaseException:
        lock.release()
        raise


def _open_locked(
    paths: Paths, lock: Lock, settings: StoreSettings, clock: Clock, watch: ClockWatch, release_ms: int, hold: int
) -> Parts:
    reserve = Reserve(paths.reserve)
    map_size = map_bytes(settings.journal.max_bytes)
    marker = Marker(paths.marker)
    mirror = Mirror(paths.mirror, watch.stamp.boot)
    recovery = Recovery(paths, marker, mirror, clock, map_size=map_size, release_ms=release_ms)
    opened = recovery.open()
    try:
        mirror.open()
        journal = settings.journal
        retention = Retention(journal.max_bytes, int(journal.max_age_s * 1000), int(journal.min_age_s * 1000))
        writer = Writer(
            opened.environment,
            opened.state,
            retention,
            mirror,
            reserve,
            hold=hold,
            chunk_bytes=min(MAX_CHUNK, max(64 << 10, journal.max_bytes // 32)),
        )
        _first_commit(writer, opened, watch, reserve)
        mirror.sync()
        checkpoint = Checkpoint(paths.values)
    except BaseException:
        mirror.close()
        opened.environment.close()
        raise
    marker.write("running", marker.deaths)
    reserve.restore()
    reader = Reader(opened.environment)
    return Parts(lock, marker, mirror, opened.environment, reader, writer, checkpoint, opened.report)


def map_bytes(max_bytes: int) -> int:
    """The map is the cap: the file can then never be larger. Whole pages of any size."""
    return max(MIN_MAP, max_bytes) // 65536 * 65536


def _first_commit(writer: Writer, opened: Opened, watch: ClockWatch, reserve: Reserve) -> None:
    """Count the opening, and write down what is lost. A full disk is no reason not to start."""
    now = watch.now()

    def change(attempt: Attempt) -> None:
        if opened.report.new_epoch:
            record_loss(attempt, opened.before, opened.remembered, opened.report, now.wall_ms)

    for _ in range(2):
        try:
            writer.call(change, now, watch.stamp)
        except StoreFull as err:
            reserve.release()
            _log.warning("no room for the first commit: %s", err)
        else:
            return
    if opened.report.new_epoch:
        raise StoreFull("there is no room to begin a new epoch")
