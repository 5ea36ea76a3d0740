"""Acks of the consumer, on `down/ack` (protocol.md 2.10)."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any

import msgspec

from gateway.journal import Consumer, Gap
from gateway.uplink.slices import cut

_MAX_RANGES = 1000
_END = 2**63
"""Numbers and epochs are below this; a foreign message may say anything."""


class AckMessage(msgspec.Struct, frozen=True):
    """One ack. `upto`: everything up to that number; `ranges`: further pieces, ends included."""

    v: int
    stream: str
    epoch: int
    upto: int = 0
    ranges: list[tuple[int, int]] = []  # noqa: RUF012 - msgspec copies a default


def parse_ack(payload: bytes) -> AckMessage | None:
    """None for what is not an ack of version 1."""
    try:
        ack = msgspec.json.decode(payload, type=AckMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    numbers = (ack.epoch, ack.upto, *chain.from_iterable(ack.ranges))
    if ack.v != 1 or len(ack.ranges) > _MAX_RANGES or not all(0 <= number < _END for number in numbers):
        return None
    return ack


class ConsumerAcks:
    """Moves the cursor by what the consumer says it has stored."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def apply(self, ack: AckMessage, told: set[Gap]) -> bool:
        """False when it is ignored: another epoch's or a number beyond what was given out.

        `told`: gap records that were sent; those the ack covers are done.
        """
        state = self._consumer.streams().get(ack.stream)
        last = self._last(ack, state)
        pieces = ([(1, ack.upto)] if ack.upto else []) + [(a, b) for a, b in ack.ranges if 1 <= a <= b]
        if last is None or any(end > last for _, end in pieces):
            return False
        for first, end in pieces:
            await self._done(ack.stream, ack.epoch, first, end)
        for gap in [gap for gap in told if (gap.stream, gap.epoch) == (ack.stream, ack.epoch)]:
            if any(self._covers(gap, first, end) for first, end in pieces):
                self._consumer.gap_done(gap)
                told.discard(gap)
        for gap in [gap for gap in told if gap.first is None and gap.stream == ack.stream and gap.epoch <= ack.epoch]:
            # the lost tail of an old epoch has no numbers that an ack could name: one that came later stands for it
            self._consumer.gap_done(gap)
            told.discard(gap)
        return True

    def _last(self, ack: AckMessage, state: Any) -> int | None:
        """Highest number that may be acknowledged; None when the epoch is not one of ours."""
        if state is None or ack.epoch > self._consumer.epoch:
            return None
        if ack.epoch == self._consumer.epoch:
            return int(state.last)
        # rows of an earlier epoch end where they end: the walk over held segments bounds it
        return _END

    @staticmethod
    def _covers(gap: Gap, first: int, end: int) -> bool:
        return gap.first is not None and gap.last is not None and first <= gap.first and gap.last <= end

    async def _done(self, stream: str, epoch: int, first: int, end: int) -> None:
        """Walk over what is held and not done, so that an end inside an entry is rounded down to its border."""
        after = (epoch, first - 1)
        while True:
            segment = self._consumer.next_segment(stream, after, 4096)
            if segment is None or segment.epoch != epoch or segment.first > end:
                return
            if segment.last > end:
                segment, _ = cut(segment, end - segment.first + 1)
                if segment.last > end:
                    return
            if segment.first >= first:
                self._consumer.done(stream, epoch, segment.first, segment.last)
            after = (epoch, segment.last)
            await asyncio.sleep(0)  # a long walk lets others run
