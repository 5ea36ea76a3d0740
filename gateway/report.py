"""Report by exception: which readings of a poll go on to the bus.

A tag reports every poll (plain), on change, or beyond a deadband; never more seldom than its heartbeat. A change of
quality always passes. One with a report interval (`report_every`) reports at most once in it: the last value, at its
end if nothing newer comes (`due`, `flush`). Before a value that jumps after silence, the last reading that was held
back is sent with its own time, so that a trend draws a step and not a ramp over the silence.

Columnar: a block whose tags are all plain costs one attribute test; a poll equal to the one before costs one
comparison of two sequences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.driver import Columns
from gateway.model import Block, Quality, Report, Value

_GOOD = int(Quality.GOOD)
_NEVER = math.inf


class ReportFilter:
    """The filter of one block. Feed it every answer of the block, in order of time.

    `select` gives what to publish, oldest first: no item, one, or the held readings followed by the new ones. Each
    item's `ts` is set where it differs from the poll's (`Columns.ts` None means the time given to `select`).
    """

    __slots__ = (
        "_count",
        "_deadbands",
        "_every",
        "_heartbeats",
        "_held",
        "_held_code",
        "_held_ts",
        "_last",
        "_next_beat",
        "_plain",
        "_repeat_ts",
        "_sent",
        "_sent_at",
        "_sent_code",
        "limited",
        "plain",
    )

    def __init__(self, block: Block) -> None:
        reports = [tag.spec.report for tag in block.tags]
        self.plain = all(report.is_plain for report in reports)
        """Every reading passes: the caller may skip this object altogether."""
        self.limited = any(report.every_s is not None for report in reports)
        """A tag has a report interval: `due` and `flush` are to be asked."""
        self._count = len(reports)
        self._plain = [i for i, report in enumerate(reports) if report.is_plain]
        self._deadbands = [_deadband(report) for report in reports]
        every = [report.every_s or 0.0 for report in reports]
        self._every = every if any(every) else None
        self._heartbeats = [_NEVER if r.heartbeat_s is None else r.heartbeat_s for r in reports]
        self._sent: list[Value] = [None] * self._count
        self._sent_code = [-1] * self._count
        self._sent_at = [0.0] * self._count
        self._held: list[Value] = [None] * self._count
        self._held_code = [_GOOD] * self._count
        self._held_ts: list[int | None] = [None] * self._count
        self._last: Sequence[Value] | None = None
        self._repeat_ts: int | None = None
        self._next_beat = _NEVER

    def select(self, columns: Columns, ts: int, mono: float) -> Sequence[Columns]:
        """What of `columns` passes. `ts`: UTC ms when the values were true; `mono`: boot-clock seconds."""
        if self.plain:
            return (columns,)
        if columns.index is None and columns.quality is None:
            if self._last is not None and mono < self._next_beat and _same(columns.values, self._last):
                self._repeat_ts = ts
                return self._only_plain(columns)
            self._unfold_repeat()
            selected = self._examine(columns, range(self._count), ts, mono)
            self._last = columns.values
            return selected
        self._unfold_repeat()
        self._last = None
        index = range(self._count) if columns.index is None else columns.index
        return self._examine(columns, index, ts, mono)

    def reset(self) -> Sequence[Columns]:
        """Forget what was sent, so that the next readings all pass; called when the device goes away.

        Returns the readings that were held back, to be published before the device's tags turn bad.
        """
        self._unfold_repeat()
        held = self._release([i for i, ts in enumerate(self._held_ts) if ts is not None])
        self._sent_code = [-1] * self._count
        self._last = None
        return held

    def _only_plain(self, columns: Columns) -> Sequence[Columns]:
        if not self._plain:
            return ()
        values = columns.values
        return (Columns([values[i] for i in self._plain], None, self._plain, columns.ts),)

    def _unfold_repeat(self) -> None:
        """Polls equal to the one before were only noted by time: write that time into the columns."""
        ts, self._repeat_ts = self._repeat_ts, None
        if ts is None or self._last is None:
            return
        self._held = list(self._last)
        self._held_code = [_GOOD] * self._count
        self._held_ts = [ts] * self._count
        for i in self._plain:
            self._held_ts[i] = None

    def _examine(self, columns: Columns, index: Sequence[int], ts: int, mono: float) -> Sequence[Columns]:
        """Decide reading by reading, note what is sent and what is held."""
        passed: list[int] = []
        jumped: list[int] = []
        codes = columns.quality if columns.quality is not None else [_GOOD] * len(columns.values)
        held: list[tuple[int, Value, int]] = []
        for place, (i, value, code) in enumerate(zip(index, columns.values, codes, strict=True)):
            verdict = self._verdict(i, value, code, mono)
            if verdict is None:
                held.append((i, value, code))
                continue
            passed.append(place)
            if verdict and self._held_ts[i] is not None:
                jumped.append(i)
            self._sent[i], self._sent_code[i], self._sent_at[i] = value, code, mono
        before = self._release(jumped)
        for place in passed:
            self._held_ts[index[place]] = None
        for i, value, code in held:
            self._held[i], self._held_code[i], self._held_ts[i] = value, code, ts
        self._next_beat = min(
            (at + beat for at, beat in zip(self._sent_at, self._heartbeats, strict=True)), default=_NEVER
        )
        if self._every is not None:
            ends = (at + every for at, every in zip(self._sent_at, self._every, strict=True) if every)
            self._next_beat = min(self._next_beat, *ends)
        return [*before, *_subset(columns, index, passed)]

    def _verdict(self, i: int, value: Value, code: int, mono: float) -> bool | None:
        """None: hold back. True: a jump, preceded by what was held. False: passes as it is."""
        deadband = self._deadbands[i]
        if self._every is not None and self._every[i]:
            if code != self._sent_code[i]:
                return False
            return False if mono >= self._sent_at[i] + self._every[i] and self._is_news(i, value, mono) else None
        if deadband is None:
            return False
        if code != self._sent_code[i]:
            return True
        if _differs(value, self._sent[i], deadband):
            return True
        return False if mono - self._sent_at[i] >= self._heartbeats[i] else None

    def _is_news(self, i: int, value: Value, mono: float) -> bool:
        """Whether a value of the quality that was sent last is worth a report."""
        deadband = self._deadbands[i]
        if deadband is None or _differs(value, self._sent[i], deadband):
            return True
        return mono - self._sent_at[i] >= self._heartbeats[i]

    def due(self) -> float | None:
        """The boot-clock time at which `flush` has something: the last value of a tag with a report interval that was
        held back and is news. None when there is none.
        """
        if self._every is None:
            return None
        self._unfold_repeat()
        waiting = [
            self._sent_at[i] + every
            for i, every in enumerate(self._every)
            if every and self._held_ts[i] is not None and self._is_news(i, self._held[i], -_NEVER)
        ]
        return min(waiting, default=None)

    def flush(self, mono: float) -> Sequence[Columns]:
        """The held values whose report interval is over, with their own times: nothing newer may come for long."""
        if self._every is None:
            return ()
        self._unfold_repeat()
        ended = [
            i
            for i, every in enumerate(self._every)
            if every and self._held_ts[i] is not None and mono >= self._sent_at[i] + every
        ]
        ended = [i for i in ended if self._is_news(i, self._held[i], mono)]
        for i in ended:
            self._sent[i], self._sent_code[i], self._sent_at[i] = self._held[i], self._held_code[i], mono
        return self._release(ended)

    def _release(self, members: Sequence[int]) -> list[Columns]:
        """The held readings of `members`, one item per time, oldest first."""
        by_time: dict[int, list[int]] = {}
        for i in members:
            held_ts = self._held_ts[i]
            if held_ts is not None:
                by_time.setdefault(held_ts, []).append(i)
                self._held_ts[i] = None
        released = []
        for ts in sorted(by_time):
            group = by_time[ts]
            codes = [self._held_code[i] for i in group]
            released.append(Columns([self._held[i] for i in group], codes if any(codes) else None, group, ts))
        return released


def _deadband(report: Report) -> float | None:
    """None for a tag whose every value is news; 0 for every change."""
    if not report.on_change and report.deadband is None:
        return None
    return report.deadband or 0.0


def _same(values: Sequence[Value], last: Sequence[Value]) -> bool:
    return values == last


def _differs(value: Value, sent: Value, deadband: float) -> bool:
    """Numbers differ when they are further apart than the deadband, anything else when unequal."""
    if deadband and isinstance(value, int | float) and isinstance(sent, int | float) and not isinstance(value, bool):
        return abs(value - sent) > deadband
    return value != sent


def _subset(columns: Columns, index: Sequence[int], places: list[int]) -> Sequence[Columns]:
    """The readings at `places` of the poll; the poll itself when all are there."""
    if not places:
        return ()
    if len(places) == len(columns.values):
        return (columns,)
    codes = None
    if columns.quality is not None:
        codes = [columns.quality[place] for place in places]
        codes = codes if any(codes) else None
    return (Columns([columns.values[p] for p in places], codes, [index[p] for p in places], columns.ts),)


__all__ = ["ReportFilter"]
