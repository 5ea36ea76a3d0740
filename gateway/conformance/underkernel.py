"""The driver in a real channel of the gateway: online, away and back, how often it knocks, what the statistics say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from gateway.clock import SystemClock
from gateway.conformance.proxy import Fault
from gateway.conformance.report import NotApplicable
from gateway.conformance.scene import GRACE_S, Subject, until
from gateway.context import ChannelRunner
from gateway.driver import Counting, PollingDriver
from gateway.fake_context import DictMemory, bind_devices
from gateway.health import Health
from gateway.model import Batch, ChannelSpec, DeviceState
from gateway.supervisor import Supervisor

_UNIT = "driver"
_WATCH_S = 1.5
_MOST = 20
"""Connections in that time that a peer which hangs up at once may see: pauses grow from half a second."""
_AWAY = (DeviceState.OFFLINE, DeviceState.DEMOTED)


class Line:
    """One channel under a supervisor, and what came of it."""

    def __init__(self, subject: Subject, channel: ChannelSpec) -> None:
        self.clock = SystemClock()
        self.health = Health(self.clock)
        self.batches: list[Batch] = []
        self.supervisor = Supervisor(self.clock, self.health)
        self.runner = ChannelRunner(
            channel,
            bind_devices(channel),
            subject.spec,
            publish=self._take,
            clock=self.clock,
            health=self.health,
            memory=DictMemory(),
            emit=lambda _entry: None,
        )
        self.supervisor.add(_UNIT, self.runner.run)

    def _take(self, batch: Batch, on_durable: Callable[[], None] | None) -> None:
        self.batches.append(batch)
        if on_durable is not None:
            on_durable()

    def all_in(self, *states: DeviceState) -> bool:
        return all(state in states for state in self.runner.states().values())

    def unit(self) -> dict[str, Any]:
        return self.supervisor.units()[_UNIT]


@asynccontextmanager
async def _line(subject: Subject) -> AsyncIterator[Line]:
    channel = replace(subject.channel, probe_s=0.5, offline_after=2, timeout_s=max(subject.hasty.timeout_s, 0.3))
    line = Line(subject, channel)
    task = asyncio.create_task(line.supervisor.run())
    try:
        yield line
    finally:
        stuck = await line.supervisor.stop(GRACE_S)
        subject.want(not stuck, "the channel did not stop when it was told to")
        await asyncio.wait({task}, timeout=GRACE_S)


async def away_and_back(subject: Subject) -> None:
    """Online with a good peer, offline when it goes, online when it is back; the statistics tell of it."""
    async with _line(subject) as line:
        online = await until(lambda: line.all_in(DeviceState.ONLINE), subject.patience_s)
        if not subject.want(online, f"not online in a running gateway: {_trouble(line)}"):
            return
        await _statistics(subject, line)
        if not subject.has_proxy:
            return
        await subject.fault(Fault.REFUSE)
        # behind a broker devices may be there still: then the link is told to be down
        away = await until(lambda: line.all_in(*_AWAY) or bool(line.runner.link_lost), subject.patience_s)
        subject.want(away, f"the peer is gone, and the devices are {_states(line)}")
        await subject.heal()
        back = await until(
            lambda: line.all_in(DeviceState.ONLINE) and not line.runner.link_lost, subject.patience_s + 5.0
        )
        subject.want(back, f"the peer is back, and the devices are {_states(line)}: {_trouble(line)}")
        subject.want(not line.unit()["crashes"], f"the driver crashed: {line.unit()['last_error']}")


async def back_off(subject: Subject) -> None:
    """A peer that accepts and hangs up is not hammered."""
    proxy = subject.tcp
    await subject.fault(Fault.HANG_UP)
    async with _line(subject) as line:
        before = proxy.accepted
        await asyncio.sleep(_WATCH_S)
        count = proxy.accepted - before
        subject.want(count <= _MOST, f"{count} connections in {_WATCH_S:g} s to a peer that hangs up: no back-off")
        subject.want(not line.unit()["crashes"], f"the driver crashed: {line.unit()['last_error']}")
    await subject.heal()


async def _statistics(subject: Subject, line: Line) -> None:
    """What `fieldpost devices` shows of a good channel."""
    if not subject.quiet:
        await until(lambda: len(line.batches) >= 2, subject.patience_s)
    stats = line.runner.stats()
    for device, view in stats["devices"].items():
        errors = {kind: count for kind, count in view["errors"].items() if kind in {"driver", "stalled"}}
        subject.want(not errors, f"{device}: errors of the driver are counted: {errors}, {view['last_error']}")
        if subject.polling:
            subject.want(view["good"] > 0, f"{device}: no good poll is counted")
    readings = sum(view["readings"] for view in stats["devices"].values())
    subject.want(bool(subject.quiet) or readings > 0, "no reading is counted")


async def counters(subject: Subject) -> None:
    """A driver's own counters are whole numbers that only grow."""
    driver = subject.create()
    if not isinstance(driver, Counting):
        raise NotApplicable("the driver has no counters of its own")
    async with subject.context(subject.channel) as context:
        if isinstance(driver, PollingDriver):
            await subject.connect(driver, context)
        first = dict(driver.counters())
        second = dict(driver.counters())
        if isinstance(driver, PollingDriver):
            await subject.call(driver.close(), GRACE_S)
    for name, count in first.items():
        subject.want(type(count) is int and count >= 0, f"counter {name} is {count!r}, not a whole number from 0")
        subject.want(second.get(name, -1) >= count, f"counter {name} goes backwards")


def _states(line: Line) -> str:
    return ", ".join(sorted({state.value for state in line.runner.states().values()}))


def _trouble(line: Line) -> str:
    return line.runner.trouble or line.unit()["last_error"] or "nothing was told"
