"""One channel at work: the driver's context, and what the rest of the gateway asks of a channel.

A ChannelRunner outlives the attempts: states and statistics stay, the driver object and its tasks are new each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, NoReturn

from gateway.abilities import Calling, Sighting
from gateway.clock import Clock
from gateway.counters import Counters
from gateway.devices import REPAIR, DeviceMonitor
from gateway.driver import Counting, Driver, DriverSpec, Frame, Memory, PollingDriver
from gateway.drivercontext import Context, Parts
from gateway.errors import DeviceUnavailable, RequestRefused
from gateway.frames import FrameTap
from gateway.health import Health
from gateway.model import Block, ChannelSpec, Device, DeviceState, Quality, Tag, Write, WriteResult, WriteState
from gateway.ondemand import Row, nothing
from gateway.otherperiods import OtherPeriods
from gateway.outcome import ContainedTaskGroup, EndedUnasked, Verdict, causes, contained, describe, judge
from gateway.plans import Line, Planner, is_readable, tell_load
from gateway.polling import Poller
from gateway.preloading import preload
from gateway.publishing import Polled, PublishDurable, Publisher
from gateway.pushing import Pushing
from gateway.refining import Refiner
from gateway.scanning import ScanJob, looking
from gateway.stats import ErrorKind, Stats
from gateway.wire import DriverStalled
from gateway.wired import is_wired

_STALLED = "driver_stalled"


class ChannelRunner:
    """Runs one channel. `run` is one attempt, for the supervisor.

    `publish` takes each batch to bus and journal. `polled(device, mono)` tells a good poll that report by exception
    held back. `emit` takes events of kind `device` for the journal; issues go through `health`. `known` gives the row
    of a tag without a wire; those are not among the `devices`' tags. `sighted` is told what a driver saw that is not
    configured. `hurry` commits what was published.
    """

    def __init__(
        self,
        channel: ChannelSpec,
        devices: tuple[Device, ...],
        spec: DriverSpec,
        *,
        publish: PublishDurable,
        clock: Clock,
        health: Health,
        memory: Memory,
        emit: Callable[[dict[str, Any]], None],
        polled: Polled = lambda _device, _mono, _tags: None,
        known: Callable[[Tag], Row] = lambda tag: nothing([tag])[0],
        timezone: str = "UTC",
        sighted: Callable[[str, Sighting], None] = lambda _channel, _sighting: None,
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self.channel = channel
        self.spec = spec
        self.unit = f"driver:{channel.driver}[{channel.id}]"
        self._memory = memory
        self._known = known
        self._clock = clock
        self._health = health
        self._emit = emit
        self._timezone = timezone
        self._log = logging.LoggerAdapter(logging.getLogger("fieldpost.driver"), {"unit": self.unit})
        self._publisher = Publisher(publish, polled, clock)
        self._stats = Stats()
        self._sighted = sighted
        self._hurry = hurry
        self._lines = {device.id: self._make_line(device) for device in devices if device.spec.enabled}
        self._refiner = Refiner(Counters(memory, clock), self._lines)
        self._parts = Parts(
            channel,
            self._lines,
            clock=clock,
            health=health,
            memory=memory,
            publisher=self._publisher,
            refiner=self._refiner,
            stats=self._stats,
            emit=emit,
            log=self._log,
        )
        self._periods = OtherPeriods(clock, self._replan)
        self._poller: Poller | None = None
        self._planner: Planner | None = None
        self._pushed: Pushing | None = None
        self._cancelled = False
        self._link_lost = ""
        self._driver: Any = None
        self._frames = FrameTap(spec.name)

    async def run(self) -> None:
        """One attempt with a fresh driver. Ends with an exception only; EndedUnasked when the driver returned."""
        await preload(self.spec.imports)
        driver = self.spec.create()
        self._driver = driver
        self._frames.use(driver)
        if self._cancelled:  # the last attempt was not ended by the supervisor, else there would be no new one
            self._cancelled = False
            self._book_end(EndedUnasked("was cancelled from inside"))
        try:
            async with ContainedTaskGroup(self.unit) as group:
                await self._drive(driver, group)
        except asyncio.CancelledError:
            self._cancelled = True  # a planned stop, or a cancel from inside: nobody here can tell
            raise
        except BaseException as error:
            self._book_end(error)
            raise
        finally:
            self._poller = None
            self._pushed = None
            self._publisher.close()

    async def write(self, write: Write) -> WriteResult:
        """Put a value on the wire and wait for its result. Never raises for what a device or driver does."""
        tag = write.tag
        if not is_wired(tag.spec, self.channel.driver):
            text = f"{tag.name} is computed: nobody writes it"
            return WriteResult(tag.device, tag.path, WriteState.REJECTED, 403, text=text)
        if self._poller is not None:
            return await self._poller.ondemand.write(write)
        if self._pushed is not None:
            return await self._pushed.write(write)
        return Pushing.unavailable(write, "the channel is not running")

    async def read(self, tags: Sequence[Tag]) -> list[Row]:
        """Read tags from their devices now: (tag, value, quality, UTC ms or None). A tag without a wire has what it
        was given last. Raises RequestRefused when the driver cannot be asked.
        """
        found = {tag: self._known(tag) for tag in tags if tag.spec.virtual is not None}
        by_device: dict[str, list[Tag]] = {}
        for tag in tags:
            if tag not in found:
                by_device.setdefault(tag.device, []).append(tag)
        for asked in by_device.values():
            found.update({row[0]: row for row in await self._ask(asked, publish=True)})
        return [found[tag] for tag in tags]

    async def _ask(self, tags: Sequence[Tag], *, publish: bool) -> list[Row]:
        if self._pushed is not None:
            return await self._pushed.read(tags, publish=publish)
        return nothing(tags) if self._poller is None else await self._poller.ondemand.read(tags, publish=publish)

    async def probe(self, tags: Sequence[Tag]) -> list[Row]:
        """Read tags that are not configured from one device: shown to the asker, never published."""
        return await self._ask(tags, publish=False)

    def scan(self, options: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """Findings of a scan of this channel's wire. Raises RequestRefused, DeviceUnavailable, ValueError."""
        return self._look("scan", options)

    def browse(self, options: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """What there is, as a tree (gateway.abilities.Browsing). Raises as scan does."""
        return self._look("browse", options)

    async def _look(self, what: str, options: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        begin = looking(self._driver, what, self.spec.name)
        poller, pushed = self._poller, self._pushed
        if pushed is not None and self.ready_to(what):
            found = pushed.steps(begin, options)
        elif poller is not None and (poller.connected or poller.undecided):
            job = ScanJob(begin(options))
            poller.ondemand.submit(job)
            found = job.findings()
        else:
            why = self.trouble
            raise DeviceUnavailable("the channel is not connected" + (f": {why}" if why else ""))
        async with contextlib.aclosing(found) as items:
            async for item in items:
                yield item

    async def call(self, device: str, method: str, args: Mapping[str, Any]) -> Any:
        """Run a method of a device (gateway.abilities.Calling). Raises RequestRefused when the driver has none."""
        if self._pushed is None:
            raise RequestRefused(f"driver {self.spec.name} has no methods", code=404)
        return await self._pushed.call(device, method, args)

    def methods(self, device: str) -> Sequence[Mapping[str, Any]]:
        """What is known of a device's methods."""
        line = self._lines.get(device)
        return self._driver.methods(line.device) if line is not None and isinstance(self._driver, Calling) else ()

    def why(self, tag: Tag) -> str:
        """Why a tag is bad, in the protocol's words; empty when nothing is known."""
        return self._parts.remarks.get(tag)

    def trace(self, listener: Callable[[Frame], None], device: str | None = None) -> Callable[[], None]:
        """Call `listener` for every frame, of one device or of all. Returns what ends it. Raises RequestRefused."""
        line = self._lines.get(device) if device is not None else None
        return self._frames.listen(listener, line.device if line is not None else None)

    @property
    def connected(self) -> bool:
        """Whether the wire is up."""
        if self._pushed is not None:
            return self._pushed.linked
        return self._poller is not None and self._poller.connected

    @property
    def linked(self) -> bool:
        """Whether a driver that pushes has its link up, spoken or not."""
        return self._pushed is not None and self._pushed.linked

    def link(self, *, up: bool, why: str = "") -> None:
        """What `ctx.link` does."""
        self._link_lost = "" if up else why
        if self._pushed is not None:
            self._pushed.linked = up

    @property
    def link_lost(self) -> str:
        """Why the link of a driver that pushes is down; empty while it is up, and where nobody said."""
        return self._link_lost

    @property
    def trouble(self) -> str:
        """What keeps the wire from being up, in words; empty where nothing was told yet."""
        if self._link_lost or self._pushed is None:
            return self._link_lost or str(self.stats()["channel"].get("last_error") or "")
        issues = [issue.text for issue in self._health.open() if issue.entity == self.channel.id]
        return issues[0] if issues else str(self.stats()["channel"].get("last_error") or "")

    def ready_to(self, what: str) -> bool:
        """Whether the channel can be looked at now: its wire is up, or the look needs none."""
        return self.connected or (what == "scan" and self.spec.scans_alone and self._pushed is not None)

    def hurry(self) -> None:
        """What `ctx.hurry` does."""
        self._hurry()

    def sighted(self, sighting: Sighting) -> None:
        """What `ctx.sighted` does."""
        self._sighted(self.channel.id, sighting)

    def reads(self, device: str | None = None) -> dict[str, Any]:
        """The read plan per device: requests, measured bus time, what was learned. Empty for pushing drivers."""
        if self._planner is None:
            return {}
        lines = self._lines.values() if device is None else [self._lines[device]] if device in self._lines else []
        return {line.device.id: self._planner.view(line) for line in lines}

    def bus(self) -> dict[str, Any]:
        """What the polls ask of the wire: measured and predicted cycle, load. Empty for pushing drivers."""
        return {} if self._planner is None else self._planner.bus(list(self._lines.values()))

    def forget(self, device: str) -> int:
        """Drop what was learned of a device's requests and plan anew. Returns how many facts were forgotten."""
        line = self._lines.get(device)
        if line is None or self._planner is None:
            return 0
        count = self._planner.forget(line.device)
        if self._poller is not None:
            self._poller.replan(line)
        return count

    def states(self) -> dict[str, DeviceState]:
        return {device: line.monitor.state for device, line in self._lines.items()}

    def stats(self) -> dict[str, Any]:
        """Counters: `channel`, and `devices` by id with state, reason and next probe (ms from now)."""
        now = self._clock.mono()
        own = dict(self._driver.counters()) if isinstance(self._driver, Counting) else {}
        return {
            "channel": {**self._stats.view(), **own},
            "devices": {device: self._device_view(line, now) for device, line in self._lines.items()},
        }

    def promote(self, device: str) -> None:
        """Ask a device that is away at once."""
        line = self._lines.get(device)
        if line is not None:
            line.monitor.promote()
            self._wake()

    def demote(self, device: str, for_s: float) -> None:
        """Take a device off the schedule by hand; it is probed again after that time."""
        line = self._lines.get(device)
        if line is not None:
            line.monitor.demote("by hand", for_s)
            self._wake()

    def other_period(self, device: str, tags: Sequence[Tag], every_s: float, for_s: float) -> bool:
        """Poll tags of a device with another period for a while. False when nothing is polled here."""
        line = self._lines.get(device)
        if line is None or self._planner is None:
            return False
        self._periods.set(line, tags, every_s, for_s)
        return True

    def _replan(self, line: Line) -> None:
        if self._poller is not None:
            self._poller.replan(line)

    async def _drive(self, driver: Driver, group: asyncio.TaskGroup) -> NoReturn:
        context = Context(self, self._parts, group)
        if not isinstance(driver, PollingDriver):
            timeout_s, name = self.channel.timeout_s, self.spec.name
            self._pushed = Pushing(
                driver, self._lines, self._publisher, self._refiner, self._clock, name=name, timeout_s=timeout_s
            )
        await contained(driver.run(context))
        raise EndedUnasked("the driver's run returned")

    async def poll(self, context: Context, driver: PollingDriver) -> None:
        """What `ctx.poll` does."""
        self._planner = Planner(driver, self._memory, self._clock)
        self._poller = Poller(
            self.channel,
            list(self._lines.values()),
            driver,
            planner=self._planner,
            publisher=self._publisher,
            refiner=self._refiner,
            stats=self._stats,
            clock=self._clock,
            log=self._log,
            timezone=self._timezone,
            loaded=lambda: tell_load(self._health, self.channel.id, self.bus()),
        )
        await self._poller.run(context)

    def _make_line(self, device: Device) -> Line:
        monitor = DeviceMonitor(
            device.id,
            offline_after=self.channel.offline_after,
            probe_s=self.channel.probe_s,
            clock=self._clock,
            health=self._health,
            changed=self._changed,
            told=self._tell,
        )
        return Line(device, monitor, Stats())

    def _changed(self, device: str, state: DeviceState, _reason: str) -> None:
        line = self._lines[device]
        if state in (DeviceState.OFFLINE, DeviceState.DEMOTED):
            self._device_away(line)
        elif state is DeviceState.ONLINE:
            self._health.clear(_STALLED, self.channel.id)
        self._wake()

    def _device_away(self, line: Line) -> None:
        if self._poller is not None:
            self._poller.device_away(line)
            return
        tags = [tag for tag in line.device.tags if is_readable(tag)]
        self._publisher.reset(line.device.id)
        if tags:
            self._publisher.bad(Block(line.device.id, tags), Quality.BAD_COMM)

    def _tell(self, device: str, state: DeviceState, reason: str) -> None:
        entry = {"ts": self._clock.wall_ms(), "kind": "device", "device": device, "state": state.value}
        self._emit({**entry, "reason": reason} if reason else entry)

    def _wake(self) -> None:
        if self._poller is not None:
            self._poller.wake()

    def _book_end(self, error: BaseException) -> None:
        """An attempt ended by an error: the devices are away until the next one has connected."""
        text = describe(error)
        kind = ErrorKind.STALLED if isinstance(error, DriverStalled) else ErrorKind.DRIVER
        self._stats.fail(kind, text, self._clock.wall_ms(), poll=False)
        if _has_stalled(error):
            self._health.set(_STALLED, self.channel.id, text, "see the log; the driver was started anew")
        repair = REPAIR
        if judge(error) is Verdict.PERMANENT:  # a missing library, settings that cannot be: no fault of the devices
            repair = f"mend what stopped the driver of channel {self.channel.id}: nothing is asked until then"
        for line in self._lines.values():
            line.monitor.lost(f"the driver stopped: {text}", repair)

    def _device_view(self, line: Line, now: float) -> dict[str, Any]:
        monitor = line.monitor
        probe = monitor.next_probe
        return {
            **line.stats.view(),
            "reason": monitor.reason,
            "since": self._clock.wall_ms() - round((now - monitor.since) * 1000),
            "next_probe": None if probe is None else max(0, round((probe - now) * 1000)),
            "flapping": monitor.flapping,
        }


def _has_stalled(error: BaseException) -> bool:
    return any(isinstance(cause, DriverStalled) for cause in causes(error))


__all__ = ["ChannelRunner", "PublishDurable"]
