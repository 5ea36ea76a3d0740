"""Opening a store that may have died, been damaged, been lost or been restored from a copy.

In this order: lock, length against the meta page, marker of the last process, verification in a child if that one
died in open, open, load, compare with the mirror. What cannot be trusted is moved aside; then, and when the store went
back in time, a new epoch begins, and gap records tell what is lost.
"""

from __future__ import annotations

import logging
import secrets

import lmdb
from msgspec import Struct, field

from gateway.atomic import sync_folder
from gateway.clock import Clock, boot_id
from gateway.errors import StoreDamaged
from gateway.journal import STREAMS, Gap
from gateway.store import aliases, gaps
from gateway.store.attempt import Attempt
from gateway.store.environment import DAMAGE_ERRORS, Environment, check_length
from gateway.store.files import Marker, Paths, quarantine
from gateway.store.loading import load
from gateway.store.mirror import Mirror, Remembered
from gateway.store.state import ConsumerRow, State
from gateway.store.verify import Verdict, verify_in_child

_log = logging.getLogger("fieldpost.store")
_RANDOM_EPOCHS = 1 << 20
KEEP_EPOCHS = 16
"""Epochs whose last numbers are remembered: so many restores in a row are told exactly."""


class Report(Struct):
    """What opening found. `damaged`: segments to drop with a gap record `disk`."""

    epoch: int = 0
    created: bool = False
    earlier: bool = False
    """The mirror knew a store before this one."""
    new_epoch: bool = False
    restored: bool = False
    quarantined: str = ""
    verified: str = ""
    died: bool = False
    damaged: tuple[tuple[str, int, int], ...] = ()
    lost: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Opened(Struct):
    """An open environment, its state, and what is still to be committed."""

    environment: Environment
    state: State
    before: State | None
    """The state as loaded, where a new epoch began because the store went back in time."""
    remembered: Remembered | None
    report: Report


def choose_epoch(last: int, wall_ms: int, release_ms: int) -> int:
    """The next epoch: always above the last one, and above what a replaced disk may have used (protocol.md 2.1)."""
    if wall_ms >= release_ms:
        return max(last + 1, wall_ms // 1000)
    return max(last + 1, release_ms // 1000 + secrets.randbelow(_RANDOM_EPOCHS))


class Recovery:
    """One opening."""

    def __init__(
        self, paths: Paths, marker: Marker, mirror: Mirror, clock: Clock, *, map_size: int, release_ms: int
    ) -> None:
        self._paths = paths
        self._marker = marker
        self._mirror = mirror
        self._clock = clock
        self._map_size = map_size
        self._release_ms = release_ms

    def open(self) -> Opened:
        """Raises StoreFull when there is not even room for an empty store."""
        report = Report()
        self._marker.read()
        report.died = bool(self._marker.state)
        verify = self._marker.wants_verify
        deaths = self._marker.deaths + 1 if report.died else 0
        remembered = self._mirror.read()
        reason = self._look_before_open(report, verify=verify)
        self._marker.write("opening", deaths)
        if reason:
            self._quarantine(reason, report)
        environment, loaded = self._open_or_replace(report)
        state = self._settle_epoch(loaded, remembered, report)
        state.openings = max(state.openings, remembered.openings if remembered else 0) + 1
        report.epoch = state.epoch
        return Opened(environment, state, loaded if report.restored else None, remembered, report)

    def _look_before_open(self, report: Report, *, verify: bool) -> str:
        """Why the file must not be opened, empty when it may be."""
        try:
            length = check_length(self._paths.journal)
        except (StoreDamaged, OSError) as err:
            return str(err)
        if length is None:
            return ""
        if length.is_short:
            report.notes.append(f"the file has {length.found} bytes, its meta page says {length.expected}")
            verify = True  # pages at the end that were freed before they were written are legal: only reading tells
        if not verify:
            return ""
        verdict: Verdict = verify_in_child(self._paths.journal)
        report.verified = verdict.text
        report.damaged = verdict.damaged
        return "" if verdict.ok else verdict.text

    def _open_or_replace(self, report: Report) -> tuple[Environment, State | None]:
        for _ in range(2):
            try:
                environment = Environment(self._paths.journal, self._map_size)
            except DAMAGE_ERRORS as err:
                self._quarantine(str(err), report)
                continue
            try:
                return environment, load(environment)
            except (StoreDamaged, lmdb.Error, ValueError, TypeError) as err:
                environment.close()
                self._quarantine(str(err), report)
        raise StoreDamaged("a fresh store cannot be opened")

    def _quarantine(self, reason: str, report: Report) -> None:
        if not self._paths.journal.exists():
            return
        target = quarantine(self._paths, f"{self._clock.wall_ms()}", self._map_size)
        report.quarantined = str(target)
        report.damaged = ()
        report.notes.append(reason)
        _log.error("the store is damaged (%s); it was moved to %s", reason, target)
        sync_folder(self._paths.root)

    def _settle_epoch(self, state: State | None, remembered: Remembered | None, report: Report) -> State:
        wall = self._clock.wall_ms()
        if state is None:
            report.created = report.new_epoch = True
            report.earlier = remembered is not None
            last = remembered.epoch if remembered else 0
            return State(choose_epoch(last, wall, self._release_ms), past=_past(remembered))
        if remembered is None or not _is_behind(state, remembered):
            return state
        report.restored = report.new_epoch = True
        report.notes.append("the store is older than its mirror: it was restored from a copy")
        fresh = state.copy()
        fresh.epoch = choose_epoch(max(state.epoch, remembered.epoch), wall, self._release_ms)
        fresh.next = dict.fromkeys(STREAMS, 1)
        fresh.lost = dict.fromkeys(STREAMS, 0)
        fresh.past = _past(remembered)
        return fresh


def _past(remembered: Remembered | None) -> dict[int, dict[str, int]]:
    if remembered is None:
        return {}
    epochs = remembered.epochs()
    return {epoch: epochs[epoch] for epoch in sorted(epochs)[-KEEP_EPOCHS:]}


def _is_behind(state: State, remembered: Remembered) -> bool:
    return (state.openings, state.serial) < (remembered.openings, remembered.serial) or state.epoch < remembered.epoch


def record_loss(
    attempt: Attempt, before: State | None, remembered: Remembered | None, report: Report, wall_ms: int
) -> None:
    """Gap records `store` for what a lost or restored store had given out and does not hold.

    `before` is the restored state, None when the old store is gone altogether.
    """
    if remembered is None:
        return
    aliases.raise_to(attempt, remembered.dict_no + 1, remembered.highest_alias)
    exact = remembered.is_exact(boot_id())
    for consumer, streams in remembered.consumers.items():
        if consumer not in attempt.state.consumers:
            attempt.add_consumer(ConsumerRow(consumer, True, tuple(streams)))  # noqa: FBT003
        for stream in streams:
            for epoch, following in remembered.epochs().items():
                if before is not None and epoch < before.epoch:
                    continue  # was over before the copy was made
                held = before.next[stream] - 1 if before is not None and epoch == before.epoch else 0
                first = max(held, remembered.floor(consumer, stream, epoch)) + 1
                last = following.get(stream, 1) - 1
                cursor = (consumer, stream, epoch)
                if first <= last:
                    attempt.gap(cursor, first, last, 0, wall_ms, "store")
                if epoch == remembered.epoch and not exact:
                    unknown = Gap(stream, epoch, None, None, None, 0, wall_ms, "store")
                    attempt.set_gaps(cursor, gaps.merge(attempt.state.gaps.get(cursor, ()), unknown))
                report.lost.extend(attempt.state.gaps.get(cursor, ()))
