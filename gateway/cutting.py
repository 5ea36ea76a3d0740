"""Cutting a refused request into smaller ones, in the same poll, so that one bad tag costs only itself (FL-33)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.clock import Clock
from gateway.driver import Columns, Request
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused
from gateway.plans import Line, Planner, Poll

_HOPELESS = 8
"""Pieces that are tried while none has brought anything: a device that refuses everything is not worth more."""


class CuttingWire(Protocol):
    """What is needed of the poller."""

    async def transact(self, line: Line, request: Request) -> Columns: ...

    async def serve_writes(self) -> None: ...

    def refuse(self, poll: Poll, error: RequestRefused) -> None: ...

    def failed(self, poll: Poll, error: Exception, start: float) -> None: ...


class Cutter:
    """Finds the pieces of a refused request that work."""

    def __init__(self, wire: CuttingWire, planner: Planner, clock: Clock) -> None:
        self._wire = wire
        self._planner = planner
        self._clock = clock

    async def cut(self, poll: Poll, error: RequestRefused, pieces: Sequence[Request]) -> bool:
        """Try the pieces and put them in the place of `poll` when one brought something.

        False: none did, the request stays whole. Raises LinkLost.
        """
        todo = list(pieces)
        refused: list[tuple[Poll, RequestRefused]] = []
        cuts = [(poll.request, error)]
        kept: list[Poll] = []
        good = 0
        while todo:
            await self._wire.serve_writes()
            small = Poll(poll.line, poll.group, todo.pop(0))
            start = self._clock.mono()
            try:
                await self._wire.transact(poll.line, small.request)
            except RequestRefused as why:
                smaller = self._planner.split(small.request, why)
                if smaller:
                    cuts.append((small.request, why))
                    # until one works, large ones first: the illegal ones may all lie at the beginning
                    todo = [*smaller, *todo] if good else [*todo, *smaller]
                else:
                    kept.append(small)
                    refused.append((small, why))
                if not good and len(cuts) + len(refused) >= _HOPELESS:
                    return False
                continue
            except LinkLost:
                raise
            except (DeviceUnavailable, BadFrame) as why:  # no time for experiments; the next poll tries again
                self._wire.failed(poll, why, start)
                return True
            small.seconds = self._clock.mono() - start
            good += 1
            kept.append(small)
        if not good:
            return False
        self._adopt(poll, kept)
        for request, because in cuts:
            self._planner.learn(request, because)
        for piece, reason in refused:
            self._wire.refuse(piece, reason)
        return True

    @staticmethod
    def _adopt(poll: Poll, kept: list[Poll]) -> None:
        polls = poll.group.polls
        if poll in polls:  # not after a new plan meanwhile
            place = polls.index(poll)
            polls[place : place + 1] = kept
        poll.line.failing.discard(poll)
