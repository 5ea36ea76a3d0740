"""Supervision in two tiers. A core unit that ends takes the process down; any other unit is tried again for ever.

Each attempt runs in a fresh task: on Python 3.11 a task in which a TaskGroup once failed keeps a raised
`cancelling()` and may later meet stray cancellations. An attempt that ends although nobody asked is a crash, however
it ended: return, exception, cancellation from inside, sys.exit. Neighbours never notice.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from gateway.backoff import Backoff
from gateway.clock import Clock, Timer
from gateway.errors import GatewayError
from gateway.health import Health
from gateway.outcome import EndedUnasked, Verdict, contained, describe, judge

Factory = Callable[[], Awaitable[None]]

RETRY_FIRST_S = 1.0
RETRY_CAP_S = 60.0
SLOW_RETRY_S = 300.0
CRASH_LIMIT = 5
HEALTHY_AFTER_S = 60.0
STOP_UNIT_S = 10.0
_CORE_SHARE = 0.3
"""Part of the stop deadline that is kept for the core: a stuck driver must not cost the journal its last commit."""

_log = logging.getLogger("fieldpost.supervisor")


class UnitState(enum.StrEnum):
    """WAITING: `run` has not been called. FAILED: given up on quick retries, slow ones go on."""

    WAITING = "waiting"
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class CoreFailed(GatewayError):
    """A core unit ended; the process cannot go on. `unit` is its name, `__cause__` the reason."""

    def __init__(self, unit: str, error: BaseException) -> None:
        super().__init__(f"core unit {unit} ended: {describe(error)}")
        self.unit = unit


class _Unit:
    """One unit and the task that keeps it running."""

    def __init__(self, name: str, factory: Factory, *, core: bool, backoff: Backoff) -> None:
        self.name = name
        self.factory = factory
        self.core = core
        self.backoff = backoff
        self.state = UnitState.WAITING
        self.attempts = 0
        self.crashes = 0
        self.crashes_in_row = 0
        self.last_error = ""
        self.next_try: float | None = None
        self.keeper: asyncio.Task[None] | None = None
        self.attempt: asyncio.Task[BaseException | None] | None = None
        self.pause: asyncio.Future[None] | None = None
        self.stopping = False

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]


class Supervisor:
    """Runs units. Core units start first and stop last; the others stop in the reverse order of adding.

    `draw` gives numbers in 0..1 for the jitter of retries.
    """

    def __init__(self, clock: Clock, health: Health, *, draw: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._health = health
        self._draw = draw
        self._units: dict[str, _Unit] = {}
        self._running = False
        self._closing = False
        self._stop_asked = asyncio.Event()
        self._finished = asyncio.Event()
        self._deadline_s = STOP_UNIT_S
        self._core_error: CoreFailed | None = None
        self.stuck: list[str] = []
        """Units that did not end within their deadline. The process should exit without waiting for them."""

    def add_core(self, name: str, factory: Factory) -> None:
        """Add a unit whose end ends the process."""
        self._add(name, factory, core=True)

    def add(self, name: str, factory: Factory) -> None:
        """Add a unit that is restarted. It starts at once when the supervisor runs, else with `run`."""
        self._add(name, factory, core=False)

    async def replace(self, name: str, factory: Factory) -> None:
        """End a unit's attempt, then run `factory` in its place. Adds the unit where there is none of that name."""
        old = self._units.get(name)
        if old is None:
            self.add(name, factory)
            return
        await self._end([old], STOP_UNIT_S)
        unit = self._make(name, factory, core=old.core)
        self._units[name] = unit
        if self._running:
            self._start(unit)

    async def remove(self, name: str) -> None:
        """End a unit and forget it, its issues included. Nothing happens where there is none of that name."""
        unit = self._units.get(name)
        if unit is None:
            return
        await self._end([unit], STOP_UNIT_S)
        if self._units.get(name) is unit:
            del self._units[name]
        self._health.clear_entity(name)

    def state(self, name: str) -> UnitState:
        """Raises KeyError for an unknown unit."""
        return self._units[name].state

    def units(self) -> dict[str, dict[str, Any]]:
        """All units as plain data, for people and `status`. `next_try` is in seconds from now."""
        now = self._clock.mono()
        return {
            unit.name: {
                "state": unit.state.value,
                "core": unit.core,
                "attempts": unit.attempts,
                "crashes": unit.crashes,
                "last_error": unit.last_error,
                "next_try": None if unit.next_try is None else round(max(0.0, unit.next_try - now), 1),
            }
            for unit in self._units.values()
        }

    async def run(self) -> None:
        """Run all units until `stop` is called. Raises CoreFailed when a core unit ended first."""
        self._running = True
        for unit in sorted(self._units.values(), key=lambda unit: not unit.core):
            self._start(unit)
        try:
            await self._stop_asked.wait()
        finally:
            self._closing = True
            await self._end_all(self._deadline_s)
            self._running = False
            self._finished.set()
        if self._core_error is not None:
            raise self._core_error

    async def stop(self, deadline_s: float = STOP_UNIT_S) -> list[str]:
        """Ask `run` to end and wait for it. Returns the names of units that did not end in time."""
        self._deadline_s = deadline_s
        self._stop_asked.set()
        if self._running:
            await self._finished.wait()
        return self.stuck

    def _add(self, name: str, factory: Factory, *, core: bool) -> None:
        if name in self._units:
            raise ValueError(f"there is a unit {name} already")
        if self._closing:
            raise RuntimeError(f"the supervisor is stopping; {name} cannot be added")
        unit = self._units[name] = self._make(name, factory, core=core)
        if self._running:
            self._start(unit)

    def _make(self, name: str, factory: Factory, *, core: bool) -> _Unit:
        return _Unit(name, factory, core=core, backoff=Backoff(RETRY_FIRST_S, RETRY_CAP_S, self._draw))

    def _start(self, unit: _Unit) -> None:
        # The one place with tasks outside a TaskGroup: a group would wait for ever for a unit that ignores its
        # cancellation, and one failing unit would cancel all others.
        unit.keeper = asyncio.get_running_loop().create_task(self._keep(unit), name=f"keeper:{unit.name}")

    async def _keep(self, unit: _Unit) -> None:
        """Try a unit again and again until it is told to stop."""
        while not unit.stopping:
            error = await self._try(unit)
            if unit.stopping or error is None:
                break
            if unit.core:
                self._fail_core(unit, error)
                break
            await self._wait_before_retry(unit, self._verdict(unit, error))
        unit.state = UnitState.STOPPED if not unit.core or unit.stopping else UnitState.FAILED

    async def _try(self, unit: _Unit) -> BaseException | None:
        unit.state = UnitState.RUNNING
        unit.next_try = None
        unit.attempts += 1
        healthy: Timer = self._clock.call_later(HEALTHY_AFTER_S, lambda: self._mark_healthy(unit))
        unit.attempt = asyncio.get_running_loop().create_task(_attempt(unit), name=unit.name)
        try:
            await asyncio.wait({unit.attempt})
        finally:
            healthy.cancel()
        if unit.attempt.cancelled():  # by whoever got hold of the task before it ran at all, or by us
            return None if unit.stopping else EndedUnasked("was cancelled from inside")
        return unit.attempt.result()

    def _mark_healthy(self, unit: _Unit) -> None:
        unit.crashes_in_row = 0
        unit.backoff.reset()
        self._health.clear("unit_failed", unit.name)
        self._health.clear("unit_auth", unit.name)

    def _fail_core(self, unit: _Unit, error: BaseException) -> None:
        unit.last_error = describe(error)
        told = isinstance(error, GatewayError)  # says itself what happened; anything else is a bug and shows where
        _log.critical("core unit %s ended: %s", unit.name, unit.last_error, exc_info=None if told else error)
        failure = CoreFailed(unit.name, error)
        failure.__cause__ = error
        self._core_error = self._core_error or failure
        self._stop_asked.set()

    def _verdict(self, unit: _Unit, error: BaseException) -> float:
        """Book the end of an attempt; returns the seconds until the next."""
        verdict = judge(error)
        unit.last_error = describe(error)
        if verdict is Verdict.LINK:
            unit.state = UnitState.BACKING_OFF
            _log.warning("%s: %s", unit.name, unit.last_error)
            return unit.backoff.next()
        if verdict is Verdict.AUTH:
            unit.state = UnitState.BACKING_OFF
            _log.error("%s: %s", unit.name, unit.last_error)
            self._health.set("unit_auth", unit.name, unit.last_error, "check user, password and certificate")
            return self._slow()
        if verdict is Verdict.CRASH:
            unit.crashes += 1
            unit.crashes_in_row += 1
            _log.error("%s crashed (%d in a row)", unit.name, unit.crashes_in_row, exc_info=error)
            if unit.crashes_in_row < CRASH_LIMIT:
                unit.state = UnitState.BACKING_OFF
                return unit.backoff.next()
        else:
            _log.error("%s cannot run: %s", unit.name, unit.last_error)
        unit.state = UnitState.FAILED
        self._health.set("unit_failed", unit.name, unit.last_error, "see the log for the reason; it is retried slowly")
        return self._slow()

    def _slow(self) -> float:
        return SLOW_RETRY_S * (0.5 + 0.5 * self._draw())

    async def _wait_before_retry(self, unit: _Unit, seconds: float) -> None:
        unit.next_try = self._clock.mono() + seconds
        unit.pause = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(seconds, lambda: _resolve(unit.pause))
        try:
            await unit.pause
        finally:
            timer.cancel()
            unit.pause = None

    async def _end_all(self, deadline_s: float) -> None:
        core_s = deadline_s * _CORE_SHARE
        end = self._clock.mono() + deadline_s - core_s
        for group in self._stop_order(core=False):
            await self._end(group, max(end - self._clock.mono(), 0.0))
        end = self._clock.mono() + core_s
        for group in self._stop_order(core=True):
            await self._end(group, max(end - self._clock.mono(), 0.0))

    def _stop_order(self, *, core: bool) -> Iterator[list[_Unit]]:
        """Units in the reverse order of adding; neighbours of one kind (all channels) end together."""
        group: list[_Unit] = []
        for unit in reversed([unit for unit in self._units.values() if unit.core is core]):
            if group and (core or group[-1].kind != unit.kind):
                yield group
                group = []
            group.append(unit)
        if group:
            yield group

    async def _end(self, units: list[_Unit], within_s: float) -> None:
        """Cancel units and wait for them. One that swallows the cancellation is told once more, then left alone."""
        for unit in units:
            unit.stopping = True
            if unit.state is not UnitState.STOPPED:
                unit.state = UnitState.STOPPING
            _resolve(unit.pause)
        keepers = {unit.keeper for unit in units if unit.keeper is not None}
        for _ in range(2):
            for unit in units:
                if unit.attempt is not None:
                    unit.attempt.cancel()
            if await self._all_done(keepers, within_s / 2):
                break
        for unit in units:
            if unit.keeper is None or unit.keeper.done():
                unit.state = UnitState.STOPPED
                continue
            self.stuck.append(unit.name)
            _log.error("%s did not end within %.1f s and is left behind", unit.name, within_s)
            self._health.set("unit_stuck", unit.name, "did not end when told", "restart the gateway")

    async def _all_done(self, tasks: set[asyncio.Task[None]], within_s: float) -> bool:
        """Wait for tasks on our clock (asyncio.wait has only the loop's own)."""
        waiting = {task for task in tasks if not task.done()}
        if not waiting:
            return True
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(within_s, lambda: _resolve(over))

        def one_done(task: asyncio.Task[None]) -> None:
            waiting.discard(task)
            if not waiting:
                _resolve(over)

        for task in list(waiting):
            task.add_done_callback(one_done)
        try:
            await over
        finally:
            timer.cancel()
            for task in waiting:
                task.remove_done_callback(one_done)
        return not waiting


async def _attempt(unit: _Unit) -> BaseException | None:
    """Run a unit once. Returns why it ended; None when it was told to."""
    try:
        await contained(_awaited(unit.factory))
    except asyncio.CancelledError:
        return None if unit.stopping else EndedUnasked("was cancelled from inside")
    except BaseException as error:
        return error
    return None if unit.stopping else EndedUnasked("returned although nobody asked it to")


async def _awaited(factory: Factory) -> None:
    await factory()


def _resolve(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
