"""From a driver's columns to batches on the bus: time stamps, report by exception, bad qualities.

A block whose tags all report every poll has no filter and goes straight through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.clock import Clock, Timer
from gateway.driver import Columns
from gateway.model import Batch, Block, Quality, Tag
from gateway.report import ReportFilter

PublishDurable = Callable[[Batch, Callable[[], None] | None], None]
"""Hands a batch to bus and journal; the callable is called once the batch is on disk."""
Polled = Callable[[str, float, Sequence[Tag] | None], None]
"""Told device and boot-clock time of a good poll that report by exception held back, wholly or in part;
the tags that it speaks of where they are not all."""
_MAX_BLOCKS = 4096
"""Blocks with a remembered filter. A driver that makes a block per publish loses the filter, not memory."""


class Publisher:
    """Publishes for one channel."""

    def __init__(self, publish: PublishDurable, polled: Polled, clock: Clock) -> None:
        self._publish = publish
        self._polled = polled
        self._clock = clock
        self._filters: dict[Block, ReportFilter | None] = {}
        self._timers: dict[Block, Timer] = {}

    def put(self, block: Block, columns: Columns, on_durable: Callable[[], None] | None = None) -> None:
        """Publish what passes the block's filter. `on_durable` is called in any case, with the last batch."""
        mono = self._clock.mono()
        ts = self._clock.wall_ms() if columns.ts is None else columns.ts
        try:
            report = self._filters[block]
        except KeyError:
            report = self._remember(block)
        if report is None:
            self._publish(Batch(block, columns.values, ts, mono, columns.index, columns.quality), on_durable)
            return
        parts = report.select(columns, ts, mono)
        if not columns.quality:
            self._polled(block.device, mono, None)
        self._send(block, parts, ts, mono, on_durable)
        if report.limited and block not in self._timers:
            self._flush_later(block, report, mono)

    def _flush_later(self, block: Block, report: ReportFilter, mono: float) -> None:
        """When the report interval of a tag is over, its last value goes out, whether another one comes or not."""
        due = report.due()
        if due is not None:
            self._timers[block] = self._clock.call_later(max(0.0, due - mono), lambda: self._flush(block))

    def _flush(self, block: Block) -> None:
        self._timers.pop(block, None)
        report = self._filters.get(block)
        if report is not None:
            mono = self._clock.mono()
            self._send(block, report.flush(mono), self._clock.wall_ms(), mono, None)
            self._flush_later(block, report, mono)

    def close(self) -> None:
        """The attempt has ended: nothing that was held back is told any more by itself."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def pass_on(self, block: Block, columns: Columns) -> None:
        """Publish what somebody asked for: no filter holds it back, none is remembered for the block."""
        ts = self._clock.wall_ms() if columns.ts is None else columns.ts
        self._publish(Batch(block, columns.values, ts, self._clock.mono(), columns.index, columns.quality), None)

    def fresh(self, device: str, tags: Sequence[Tag] | None = None) -> None:
        """What the device's tags show is still true now; `tags`: what these show, and no other."""
        self._polled(device, self._clock.mono(), tags)

    def bad(self, block: Block, quality: Quality) -> None:
        """Each tag of the block once null with that quality, true from now on. The next readings all pass."""
        mono, ts = self._clock.mono(), self._clock.wall_ms()
        report = self._filters.get(block)
        if report is not None:
            self._send(block, report.reset(), ts, mono, None)
        count = len(block.tags)
        self._publish(Batch(block, [None] * count, ts, mono, quality=[int(quality)] * count), None)

    def reset(self, device: str) -> None:
        """Start report by exception of a device anew; what was held back is published."""
        for block, report in self._filters.items():
            if block.device == device and report is not None:
                self._send(block, report.reset(), self._clock.wall_ms(), self._clock.mono(), None)

    def _send(
        self, block: Block, parts: Sequence[Columns], ts: int, mono: float, on_durable: Callable[[], None] | None
    ) -> None:
        for place, part in enumerate(parts, start=1):
            when = ts if part.ts is None else part.ts
            durable = on_durable if place == len(parts) else None
            self._publish(Batch(block, part.values, when, mono, part.index, part.quality), durable)
        if not parts and on_durable is not None:
            asyncio.get_running_loop().call_soon(on_durable)

    def _remember(self, block: Block) -> ReportFilter | None:
        if len(self._filters) >= _MAX_BLOCKS:
            oldest = next(iter(self._filters))
            del self._filters[oldest]
            if oldest in self._timers:
                self._timers.pop(oldest).cancel()
        report = ReportFilter(block)
        self._filters[block] = None if report.plain else report
        return self._filters[block]
