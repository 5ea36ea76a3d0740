"""The loop of one polling channel: connect, poll on schedule, write in between, connect again.

One task does everything on the wire. Per request there is no task, no queue hop and no timer of its own; the clock is
read twice. What to do next is the arbiter's, when is the timetable's, what a device's state is the monitor's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.agenda import Agenda
from gateway.arbiter import Arbiter
from gateway.clock import Clock
from gateway.cutting import Cutter
from gateway.driver import Columns, DriverContext, PollingDriver, Request
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused
from gateway.model import Block, ChannelSpec, DeviceState, Quality
from gateway.ondemand import Job, OnDemand
from gateway.plans import Line, Planner, Poll
from gateway.publishing import Publisher
from gateway.reconnecting import Reconnect
from gateway.refining import Refiner
from gateway.stats import ErrorKind, Stats
from gateway.wire import CallGuard, DriverStalled
from gateway.writes import PendingWrite

T = TypeVar("T")

_LOAD_S = 10.0
_SUSPICIOUS = 2
"""Failures in a row of one request after which it is asked whether its length is to blame."""
_TURNS = 32
"""Transactions in a row after which other tasks get a turn even if the driver never really waits."""


class Poller:
    """Runs one driver object until an exception ends it."""

    def __init__(
        self,
        channel: ChannelSpec,
        lines: Sequence[Line],
        driver: PollingDriver,
        *,
        planner: Planner,
        publisher: Publisher,
        refiner: Refiner,
        stats: Stats,
        clock: Clock,
        log: logging.LoggerAdapter[logging.Logger],
        timezone: str = "UTC",
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        """`loaded` is called now and then while polls go on."""
        self._loaded = loaded
        self._look_at = clock.mono() + _LOAD_S
        self._channel = channel
        self._lines = lines
        self._by_device = {line.device.id: line for line in lines}
        self._driver = driver
        self._planner = planner
        self._publisher = publisher
        self._refiner = refiner
        self._stats = stats
        self._clock = clock
        self._log = log
        self._guard = CallGuard(clock, channel.timeout_s * 2.0)
        self._reconnect = Reconnect(channel.probe_s)
        self._waiter: asyncio.Future[None] | None = None
        self._turns = 0
        self.arbiter: Arbiter[PendingWrite, Job, Poll] = Arbiter()
        self._agenda = Agenda(channel, lines, self.arbiter, stats, clock, timezone)
        self._cutter = Cutter(self, planner, clock)
        self.ondemand = OnDemand(self, driver, planner, self.arbiter, clock)
        self.connected = False
        self.alone = not lines
        self.undecided = True

    async def run(self, ctx: DriverContext) -> None:
        """Connect, serve, and again. Ends with an exception only."""
        for line in self._lines:
            self._planner.plan(line)
            self._tell_left_out(line)
        try:
            while True:
                try:  # connect too: one that is cut off in the middle may hold a port already
                    await self._connect(ctx)
                    await self._serve()
                except DriverStalled as error:
                    self._link_down(error)
                    raise  # a fresh driver object: nobody knows the state of this one
                except (LinkLost, ConnectionError) as error:
                    self._link_down(error)
                finally:
                    self.connected = False
                    await self._close()
                if (pause := self._reconnect.lost(self._clock.mono())) > 0:
                    await self._wait(self._clock.mono() + pause, wake=False)
        finally:
            self._guard.close()
            self.ondemand.fail_all("the channel stopped")

    def wake(self) -> None:
        """Something new may be due."""
        self._agenda.dirty = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def line(self, device: str) -> Line | None:
        return self._by_device.get(device)

    def replan(self, line: Line) -> None:
        """Make a device's requests anew (what was learned is forgotten)."""
        self._agenda.remove(line)
        self._planner.plan(line)
        self._tell_left_out(line)
        if self.connected:
            self._agenda.enter(line)
        self.wake()

    async def guarded(self, what: Awaitable[T]) -> T:
        """Any call of the driver, within the kernel's limit."""
        return await self._guard.call(what)

    async def transact(self, line: Line, request: Request, *, publish: bool = True) -> Columns:
        """One read on the wire with statistics and states, published. Raises what the driver raised."""
        start = self._clock.mono()
        try:
            columns = await self._guard.call(self._driver.read(request))
        except Exception as error:
            self._book_failure(line, error)
            raise
        self._book_success(line, columns, start)
        if not publish:
            return columns
        if request.block.refined:
            columns = self._refiner.apply(request.block, columns)
        if request.block.tags:
            self._publisher.put(request.block, columns)
        return columns

    async def on_wire(self, what: PendingWrite) -> None:
        """The driver's write of one value, guarded. Raises what the driver raised."""
        tag = what.write.tag
        line = self._by_device[tag.device]
        await self._guard.call(self.ondemand.writer().write(line.device, tag, what.write.value))
        self._reconnect.answered()

    async def _connect(self, ctx: DriverContext) -> None:
        while True:
            try:
                await self._guard.call(self._driver.connect(ctx))
            except DriverStalled:
                raise
            except (DeviceUnavailable, OSError) as error:
                await self._close()
                self._link_down(error)
                await self._wait(self._clock.mono() + self._reconnect.refused(), wake=False)
                continue
            self.connected = True
            self.undecided = False
            self._reconnect.opened(self._clock.mono())
            for line in self._lines:
                line.monitor.link_up()
                self._agenda.enter(line)
            return

    async def _close(self) -> None:
        try:
            await self._guard.call(self._driver.close())
        except DriverStalled:
            self._log.warning("closing took too long and was cut off")
        except Exception:  # the contract says that close does not raise; a bug there must not hide the real reason
            self._log.exception("close failed")

    def _link_down(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        self._stats.fail(ErrorKind.LINK, text, self._clock.wall_ms(), poll=False)
        self._stats.reconnects += 1
        self._agenda.clear()
        self.undecided = False
        for line in self._lines:
            line.failing.clear()
            line.monitor.lost(text)
        self.ondemand.fail_all(f"the link is gone: {text}")

    async def _serve(self) -> None:
        """The loop on a wire that is up."""
        arbiter = self.arbiter
        while True:
            now = self._clock.mono()
            self._agenda.collect(now)
            if (write := arbiter.next_write()) is not None:
                await self.ondemand.perform(write)
            elif (job := arbiter.next_job(now)) is not None:
                await job.run(self.ondemand)
            elif (poll := self._agenda.next_poll(now)) is not None:
                await self._poll(poll, now)
            else:
                self._turns = 0
                await self._wait(self._agenda.next_time(now))
                continue
            self._turns += 1
            if now >= self._look_at:
                self._look_at = now + _LOAD_S
                self._loaded()
            if self._turns >= _TURNS:
                self._turns = 0
                await asyncio.sleep(0)

    async def _wait(self, until: float, *, wake: bool = True) -> None:
        """Sleep until a moment on the boot clock, or until `wake` is called."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(until - self._clock.mono(), lambda: _resolve(waiter))
        self._waiter = waiter if wake else None
        try:
            await waiter
        finally:
            self._waiter = None
            timer.cancel()

    async def _poll(self, poll: Poll, start: float) -> None:
        line = poll.line
        try:
            columns = await self._guard.call(self._driver.read(poll.request))
        except RequestRefused as error:
            self._agenda.done(poll)
            self._book_failure(line, error)
            await self._refused(poll, error)
        except LinkLost as error:
            self._agenda.done(poll)
            self._book_failure(line, error)
            raise
        except (DeviceUnavailable, BadFrame) as error:
            self._agenda.done(poll)
            self.failed(poll, error, start)
            if poll.failures == _SUSPICIOUS and len(poll.request.block.tags) > 1:
                await self._investigate(poll, error)
        else:
            self._agenda.done(poll)
            poll.seconds = self._book_success(line, columns, start)
            if poll.bad is not None or poll.failures or poll.refusals:
                self._mend(poll)
            if poll.request.block.refined:
                columns = self._refiner.apply(poll.request.block, columns)
            self._publisher.put(poll.request.block, columns)

    def _book_success(self, line: Line, columns: Columns, start: float) -> float:
        seconds = self._clock.mono() - start
        ts = self._clock.wall_ms()
        line.stats.succeed(seconds, len(columns.values), ts)
        self._stats.succeed(seconds, len(columns.values), ts)
        self._answered(line)
        return seconds

    def _answered(self, line: Line) -> None:
        """The device is there, whatever it said."""
        self._reconnect.answered()
        monitor = line.monitor
        was_away = monitor.away or monitor.state is DeviceState.UNKNOWN
        monitor.good(clean=not line.failing)
        if was_away:
            self._agenda.welcome(line)

    def _book_failure(self, line: Line, error: Exception) -> None:
        kind = _kind(error)
        ts = self._clock.wall_ms()
        line.stats.fail(kind, str(error), ts)
        self._stats.fail(kind, f"{line.device.id}: {error}", ts)

    def failed(self, poll: Poll, error: Exception, start: float) -> None:
        """Silence or rubbish: the device's failure; when its other requests work, this request's own."""
        line = poll.line
        self._book_failure(line, error)
        now = self._clock.mono()
        self._agenda.charge(start, now)
        poll.failures += 1
        self._agenda.dirty = True
        others_work = any(other is not poll and not other.failures for other in line.polls())
        line.failing.add(poll)
        if poll.failures >= self._channel.offline_after and others_work and line.monitor.failures < poll.failures - 1:
            self.set_bad(poll, Quality.BAD_COMM)  # the device answers others in between: only this one rests
            poll.rest_until = now + self._channel.probe_s
        else:
            line.monitor.failed(str(error) or type(error).__name__)

    def _mend(self, poll: Poll) -> None:
        poll.failures = poll.refusals = 0
        poll.bad = None
        poll.rest_until = 0.0
        poll.line.failing.discard(poll)
        poll.line.monitor.good(clean=not poll.line.failing)

    async def _refused(self, poll: Poll, error: RequestRefused) -> None:
        """The device is there and says no: cut the request if that helps, else only its tags are bad.

        What could not be cut is looked into again after 2, 4, 8... refusals: the device may have been starting.
        """
        poll.failures = 0
        poll.line.failing.discard(poll)
        self._answered(poll.line)
        if error.reason != "comm":
            poll.refusals += 1
            if poll.refusals & (poll.refusals - 1) == 0 and await self._reduce(poll, error):
                return
        self.refuse(poll, error)

    async def _reduce(self, poll: Poll, error: RequestRefused) -> bool:
        """Whether something else takes the place of a refused request, or it is to be asked again as it is."""
        if self._planner.learning is not None:
            return await self._investigate(poll, error)
        pieces = self._planner.split(poll.request, error)
        return bool(pieces) and await self._cutter.cut(poll, error, pieces)

    async def _investigate(self, poll: Poll, error: Exception) -> bool:
        """Let a driver that learns find out why a request fails; with what it found the device is planned anew.

        True without a finding when it ended with the request working after all, or with a silence: the next poll
        tells more.
        """
        learning, line = self._planner.learning, poll.line
        if learning is None:
            return False
        open_end = False

        async def ask(request: Request) -> Columns:
            nonlocal open_end
            await self.serve_writes()
            start = self._clock.mono()
            try:
                columns = await self.transact(line, request)
            except RequestRefused as why:
                open_end = why.reason == "comm"
                raise
            except (DeviceUnavailable, BadFrame):
                self._agenda.charge(start, self._clock.mono())
                open_end = True
                raise
            open_end = request is poll.request
            return columns

        if not await learning.investigate(line.device, poll.request, error, ask):
            return open_end
        self.replan(line)
        return True

    def _tell_left_out(self, line: Line) -> None:
        if line.left_out:
            self._publisher.bad(Block(line.device.id, line.left_out), Quality.BAD_CONFIG)

    def refuse(self, poll: Poll, error: RequestRefused) -> None:
        """Only the tags of this request are bad."""
        config = error.reason != "comm"
        self.set_bad(poll, Quality.BAD_CONFIG if config else Quality.BAD_COMM)
        if config:  # asking again soon is useless
            poll.rest_until = self._clock.mono() + max(self._channel.probe_s, poll.group.schedule.every_s)

    async def serve_writes(self) -> None:
        """Let the writes that wait go first."""
        while (write := self.arbiter.next_write()) is not None:
            await self.ondemand.perform(write)

    def set_bad(self, poll: Poll, quality: Quality) -> None:
        """Tell the tags of a request once that they are bad."""
        if poll.bad is not quality:
            poll.bad = quality
            self._publisher.bad(poll.request.block, quality)

    def device_away(self, line: Line) -> None:
        """A device went away: each of its tags turns bad/comm once, and nothing waits for it."""
        self._agenda.dirty = True
        for poll in line.polls():
            self.set_bad(poll, Quality.BAD_COMM)
        self.ondemand.fail_device(line.device.id, f"the device is away: {line.monitor.reason}")


def _kind(error: Exception) -> ErrorKind:
    if isinstance(error, RequestRefused):
        return ErrorKind.REFUSED
    if isinstance(error, BadFrame):
        return ErrorKind.BAD_FRAME
    if isinstance(error, DriverStalled):
        return ErrorKind.STALLED
    if isinstance(error, LinkLost | ConnectionError):
        return ErrorKind.LINK
    return ErrorKind.TIMEOUT if isinstance(error, DeviceUnavailable) else ErrorKind.DRIVER


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
