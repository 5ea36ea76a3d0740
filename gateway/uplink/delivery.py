"""The loop that empties the journal into one connection: order, window, rates, and what each PUBACK means.

One task, no queue of its own. Every wake-up (a commit, a PUBACK, a timer) fills the window again.
"""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random

from gateway.clock import Clock
from gateway.journal import Consumer
from gateway.mqttclient.connection import Connection, ConnectionLost
from gateway.settings.types import UplinkSettings
from gateway.uplink.budget import DailyBudget
from gateway.uplink.counters import Counters
from gateway.uplink.lanes import Lane, Parcel
from gateway.uplink.order import (
    ALARM,
    BACKLOG,
    EVENT,
    GAP,
    LIVE,
    LOG,
    MAX_HOLES,
    TOO_MANY_HOLES,
    Floor,
    Share,
    sequence,
)
from gateway.uplink.rates import Lateness, TokenBucket
from gateway.uplink.sources import TELEMETRY, Limits, Sources
from gateway.uplink.verdict import UNROUTED, Verdict

SILENT_CONSUMER_S = 300.0
"""With `ack: consumer`: no ack for this long means to send again."""
_IDLE_S = 3600.0
_LANE_OF = {ALARM: ALARM, GAP: GAP, EVENT: EVENT, LIVE: TELEMETRY, BACKLOG: TELEMETRY, LOG: LOG}
_SERIAL = frozenset((ALARM, EVENT, LOG, GAP))
"""One message in flight: brokers then keep the order."""
_URGENT = frozenset((ALARM, GAP, EVENT))
"""Never held back by a rate, only counted."""


class Delivery:
    """Delivery over one connection. `run` ends only by ConnectionLost."""

    def __init__(
        self,
        settings: UplinkSettings,
        connection: Connection,
        consumer: Consumer,
        sources: Sources,
        verdict: Verdict,
        counters: Counters,
        limits: Limits,
        budget: DailyBudget,
        clock: Clock,
        random: Random,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._consumer = consumer
        self._sources = sources
        self._verdict = verdict
        self._counters = counters
        self._budget = budget
        self._clock = clock
        now = clock.mono()
        self._lanes = {name: Lane(sources.topic(name), random) for name in sorted(set(_LANE_OF.values()))}
        self._in_flight: dict[int, Parcel] = {}
        self._serial = 0
        self._backlog_in_flight = 0
        self._floor = Floor()
        self._share = Share()
        self._lateness = Lateness()
        self._bytes = TokenBucket(limits.bytes_per_s, now)
        self._messages = TokenBucket(limits.messages_per_s, now)
        self._typical = {LIVE: 1000, BACKLOG: 1000, LOG: 1000}
        self._wake = asyncio.Event()
        self._stopping = False
        self._end: ConnectionLost | None = None
        self._heard_at = now
        self._unconfirmed = False
        self._unrouted = False
        self._backlog_from = now + (random.uniform(0.0, 60.0) if settings.profile == "fleet" else 0.0)
        sources.begin(now)
        connection.on_room(self._wake.set)  # a status or a birth may have used the last slot

    async def run(self) -> None:
        """Deliver until the connection is lost. Raises ConnectionLost."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch_commits())
            try:
                await self._deliver()
            finally:
                watch.cancel()

    def wake(self) -> None:
        """Something outside changed that may let a message go."""
        self._wake.set()

    def heard(self) -> None:
        """The consumer acknowledged something (2.10)."""
        self._heard_at = self._clock.mono()
        self._unconfirmed = self._consumer.backlog().readings > 0 or bool(self._sources.told())

    async def drain(self) -> None:
        """Send nothing more and wait until what is in flight is acknowledged."""
        self._stopping = True
        while self._in_flight and not self._connection.closed.done():
            self._wake.clear()
            await self._wake.wait()

    @property
    def lateness(self) -> float:
        """99th percentile of live data from commit to PUBACK, seconds."""
        return self._lateness.p99(self._clock.mono())

    async def _watch_commits(self) -> None:
        seen = self._consumer.commits()
        while True:
            seen = await self._consumer.wait_commit(seen)
            self._sources.committed(self._clock.mono())
            self._wake.set()

    async def _deliver(self) -> None:
        while True:
            if self._connection.closed.done():
                raise self._connection.closed.result()
            if self._end is not None:
                self._connection.abort()
                raise self._end
            self._wake.clear()
            delay = self._fill()
            timer = self._clock.call_later(delay, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    def _fill(self) -> float:
        """Send what may go now; seconds until it makes sense to look again unless something happens."""
        now = self._clock.mono()
        self._check_silence(now)
        wait = _IDLE_S
        while self._connection.room > 0 and not self._stopping and self._end is None:
            parcel, pause = self._next(now)
            if parcel is None:
                wait = min(wait, pause)
                break
            self._send(parcel, now)
        if self._in_flight:
            oldest = next(iter(self._in_flight.values()))
            wait = min(wait, oldest.deadline - now)
        return min(max(wait, 0.001), _IDLE_S)

    def _check_silence(self, now: float) -> None:
        oldest = next(iter(self._in_flight.values()), None)
        if oldest is not None and now >= oldest.deadline:
            self._end = ConnectionLost(f"no PUBACK for {self._settings.ack_timeout_s:g} s")
            self._wake.set()
        if (
            self._settings.ack == "consumer"
            and now - self._heard_at >= SILENT_CONSUMER_S
            and self._unconfirmed
            and not self._in_flight
            and (self._consumer.backlog().readings or self._sources.told())
        ):
            self._heard_at = now
            self._verdict.consumer_silent(SILENT_CONSUMER_S)
            self._sources.begin(now)

    def _next(self, now: float) -> tuple[Parcel | None, float]:
        """The next parcel, or how long nothing can go."""
        holes = self._consumer.holes(TELEMETRY)
        waits = self._backlog_waits()
        # each message in flight can open one more hole, so the bound counts them in
        hold_live = waits and (self._settings.order == "fifo" or holes + self._connection.window >= TOO_MANY_HOLES)
        floor_due = waits and (
            self._floor.due(self._typical[BACKLOG]) or (holes > MAX_HOLES and not self._backlog_in_flight)
        )
        pause, saving = _IDLE_S, False
        for kind in sequence(floor_due=floor_due, fifo=hold_live):
            lane = self._lanes[_LANE_OF[kind]]
            if kind in _SERIAL and lane.in_flight:
                continue
            if not lane.open(now):
                pause = min(pause, lane.held_until - now) if lane.held_until > now else pause
                continue
            held = self._held(kind, now)
            if held > 0.0:
                pause = min(pause, held)
                # what the floor owes to the backlog is saved up for: smaller messages would always come first
                saving = saving or (kind == BACKLOG and floor_due and self._gate(now) == 0.0)
                continue
            if saving and kind not in _URGENT:
                continue
            parcel = lane.take(kind) or self._make(kind, now)
            if parcel is not None:
                return parcel, 0.0
            if kind == LIVE and (due := self._sources.live_due(now)):
                pause = min(pause, due)
        if self._sources.unfinished:
            pause = 0.0
        if self._settings.ack == "consumer":
            pause = min(pause, max(1.0, self._heard_at + SILENT_CONSUMER_S - now))
        return None, pause

    def _backlog_waits(self) -> bool:
        return self._sources.backlog_waits or self._lanes[TELEMETRY].waits(BACKLOG)

    def _held(self, kind: str, now: float) -> float:
        """Seconds for which this class may not send: its rate, or the backlog's share."""
        if kind in _URGENT:
            return 0.0
        size = self._typical[kind]
        held = max(self._bytes.delay(now, size), self._messages.delay(now, 1.0), self._budget.delay(size))
        return max(held, self._gate(now)) if kind == BACKLOG else held

    def _gate(self, now: float) -> float:
        """Seconds for which the backlog waits for its start, or for its share of the window."""
        if now < self._backlog_from:
            return self._backlog_from - now
        return _IDLE_S if self._backlog_in_flight >= self._share.limit(self._connection.window) else 0.0

    def _make(self, kind: str, now: float) -> Parcel | None:
        if kind == LIVE:
            return self._sources.live(now)
        if kind == BACKLOG:
            return self._sources.backlog(now)
        if kind == GAP:
            return self._sources.gap(now)
        return self._sources.entries(kind, now) if kind in self._settings.select.streams else None

    def _send(self, parcel: Parcel, now: float) -> None:
        try:
            ack = self._connection.send(parcel.message)
        except ConnectionLost as lost:
            self._end = lost
            return
        parcel.sent = now
        parcel.deadline = now + self._settings.ack_timeout_s
        self._serial += 1
        self._in_flight[self._serial] = parcel
        self._lanes[_LANE_OF[parcel.kind]].in_flight += 1
        if parcel.kind == BACKLOG:
            self._backlog_in_flight += 1
        self._bytes.take(now, parcel.size)
        self._messages.take(now, 1.0)
        self._floor.sent(parcel.kind, parcel.size, backlog_waits=self._backlog_waits())
        if not self._unconfirmed:  # nothing was owed: the consumer's time begins now
            self._unconfirmed, self._heard_at = True, now
        if parcel.kind in self._typical:
            self._typical[parcel.kind] = parcel.size
        self._counters.sent(now, parcel)
        ack.add_done_callback(partial(self._acked, self._serial))

    def _look_for_the_consumer(self, code: int, now: float) -> None:
        """What the broker took while nobody was subscribed did not reach the consumer: as soon as somebody is, it goes
        again. A broker whose rules take messages always says so, and the consumer's acks tell (2.10).
        """
        if self._settings.ack != "consumer":
            return
        if code == UNROUTED:
            self._unrouted = True
        elif code < UNROUTED and self._unrouted:
            self._unrouted = False
            self._sources.begin(now)

    def _acked(self, serial: int, ack: asyncio.Future[int]) -> None:
        parcel = self._in_flight.pop(serial)
        lane = self._lanes[_LANE_OF[parcel.kind]]
        lane.in_flight -= 1
        if parcel.kind == BACKLOG:
            self._backlog_in_flight -= 1
        self._wake.set()
        if ack.cancelled() or ack.exception() is not None:
            return
        now = self._clock.mono()
        accepted = self._verdict.judge(parcel, lane, ack.result(), now)
        self._look_for_the_consumer(ack.result(), now)
        if self._verdict.defect:
            self._end = ConnectionLost(self._verdict.defect)
        if not accepted:
            return
        if parcel.kind == LIVE:
            late = now - parcel.since
            self._lateness.add(now, late)
            self._share.adjust(now, self._lateness.p99(now))
        elif parcel.kind == BACKLOG:
            self._share.acked(self._connection.window, self._lateness.p99(now))
