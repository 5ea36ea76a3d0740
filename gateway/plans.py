"""What is asked of each device: groups of tags with one schedule, their requests, and what was learned about them.

A request that a device refuses as a whole is cut by the driver (Splitting); cuts that helped are kept in the
channel's memory with date and reason, and used again at the next start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.clock import Clock
from gateway.devices import DeviceMonitor
from gateway.driver import Costing, Describing, Learning, Memory, PollingDriver, Request, Splitting
from gateway.errors import RequestRefused
from gateway.health import Health
from gateway.model import Access, Device, Quality, Schedule, Tag
from gateway.stats import Stats

_LEARNED = "split:"
_OVERLOADED = "bus_overloaded"
_RELIEVED = 0.9
"""Share of the wire's time below which it is over."""


class Poll:
    """One request at work. `bad`: the quality its tags were told last, None while they are good. `refusals`: how often
    the device has said no since it last said yes. `deadline`: when it is due again, while it waits for the wire.
    """

    __slots__ = (
        "bad",
        "deadline",
        "failures",
        "group",
        "line",
        "queued_at",
        "refusals",
        "request",
        "rest_until",
        "seconds",
    )

    def __init__(self, line: Line, group: Group, request: Request) -> None:
        self.line = line
        self.group = group
        self.request = request
        self.failures = 0
        self.refusals = 0
        self.bad: Quality | None = None
        self.seconds = 0.0
        self.queued_at: float | None = None
        self.deadline = 0.0
        self.rest_until = 0.0


class Group:
    """Tags of one device with one schedule. `waiting`: requests of the current cycle that are not done."""

    __slots__ = ("line", "missed", "polls", "schedule", "waiting")

    def __init__(self, line: Line, schedule: Schedule) -> None:
        self.line = line
        self.schedule = schedule
        self.polls: list[Poll] = []
        self.waiting = 0
        self.missed = 0


class Line:
    """One device of a channel at work."""

    def __init__(self, device: Device, monitor: DeviceMonitor, stats: Stats) -> None:
        self.device = device
        self.monitor = monitor
        self.stats = stats
        self.groups: list[Group] = []
        self.failing: set[Poll] = set()
        self.left_out: list[Tag] = []
        """Tags that no request brings, because the device is known to refuse them."""
        self.other_periods: dict[Tag, Schedule] = {}
        """What is asked of tags for a while instead of their own schedules."""

    def schedule(self, tag: Tag) -> Schedule:
        """When a tag is read now."""
        return self.other_periods.get(tag) or tag.spec.schedule or self.device.spec.schedule

    def polls(self) -> Iterator[Poll]:
        for group in self.groups:
            yield from group.polls

    def smallest(self) -> Poll | None:
        """The request that costs least: what a device that is away is probed with."""
        return min(self.polls(), key=lambda poll: len(poll.request.block.tags), default=None)


def is_readable(tag: Tag) -> bool:
    """Whether a tag has a value at all."""
    return tag.spec.access is not Access.WRITE


def is_polled(tag: Tag) -> bool:
    """Whether a tag is read on schedule."""
    return is_readable(tag) and not tag.spec.on_demand


class Planner:
    """Makes the groups of a device with one driver object."""

    def __init__(self, driver: PollingDriver, memory: Memory, clock: Clock) -> None:
        self._driver = driver
        self._memory = memory
        self._clock = clock

    def plan(self, line: Line) -> None:
        """Fill `line.groups`."""
        by_schedule: dict[Schedule, list[Tag]] = {}
        for tag in line.device.tags:
            if is_polled(tag):
                by_schedule.setdefault(line.schedule(tag), []).append(tag)
        line.groups = []
        line.failing.clear()
        line.left_out = []
        for schedule, tags in by_schedule.items():
            group = Group(line, schedule)
            for request in self._driver.plan(line.device, tags):
                group.polls += [Poll(line, group, piece) for piece in self._cut(request)]
            line.groups.append(group)
            brought = {tag for poll in group.polls for tag in poll.request.block.tags}
            line.left_out += [tag for tag in tags if tag not in brought]

    def requests(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        """Requests for a read on demand."""
        return self._driver.plan(device, tags)

    def split(self, request: Request, error: Exception) -> Sequence[Request]:
        """Smaller requests, or none."""
        return self._driver.split(request, error) if isinstance(self._driver, Splitting) else ()

    def learn(self, request: Request, error: RequestRefused) -> None:
        """Keep that this request is to be cut."""
        row = {"reason": str(error), "code": error.code, "ts": self._clock.wall_ms()}
        self._memory.put(_key(request.block.device, request.text), row)

    @property
    def learning(self) -> Learning | None:
        """The driver, if it learns by itself."""
        return self._driver if isinstance(self._driver, Learning) else None

    def forget(self, device: Device) -> int:
        """Drop what was learned of a device. Returns how many facts."""
        keys = [key for key in self._memory.items() if key.startswith(_key(device.id, ""))]
        for key in keys:
            self._memory.delete(key)
        return len(keys) + (self.learning.forget(device) if self.learning is not None else 0)

    def bus(self, lines: Sequence[Line]) -> dict[str, Any]:
        """What the polls of a channel ask of its wire: `cycle_ms` as measured last, `predicted_ms` from the wire's
        settings and the devices' response times, `load` as the share of the wire's time.
        """
        cycle = predicted = load = 0.0
        for line in lines:
            response = self._response_s(line)
            for poll in line.polls():
                seconds = self._cost(poll) + response
                cycle += poll.seconds
                predicted += seconds
                load += max(seconds, poll.seconds) / poll.group.schedule.every_s
        return {"cycle_ms": round(cycle * 1000, 2), "predicted_ms": round(predicted * 1000, 2), "load": round(load, 3)}

    def _cost(self, poll: Poll) -> float:
        return self._driver.cost(poll.request) if isinstance(self._driver, Costing) else 0.0

    def _response_s(self, line: Line) -> float:
        """What a device needs to answer, from the round trips measured so far; 0 before the first."""
        measured = [poll.seconds - self._cost(poll) for poll in line.polls() if poll.seconds > 0.0]
        return max(0.0, sum(measured) / len(measured)) if measured else 0.0

    def view(self, line: Line) -> dict[str, Any]:
        """A device's read plan as data (config.md section 5, `reads`)."""
        return {
            "cycle_ms": round(sum(poll.seconds for poll in line.polls()) * 1000, 2),
            "predicted_ms": self.bus([line])["predicted_ms"],
            "requests": [self._describe(poll) for poll in line.polls()],
            "learned": self._learned(line.device),
        }

    def _learned(self, device: Device) -> list[dict[str, Any]]:
        cuts = [
            {"what": f"{key.removeprefix(_key(device.id, ''))} is cut", "reason": row["reason"], "ts": row["ts"]}
            for key, row in sorted(self._memory.items().items())
            if key.startswith(_key(device.id, ""))
        ]
        return [*(dict(row) for row in self.learning.learned(device)), *cuts] if self.learning is not None else cuts

    def _describe(self, poll: Poll) -> dict[str, Any]:
        request = poll.request
        own = dict(self._driver.describe(request)) if isinstance(self._driver, Describing) else {}
        common = {"text": request.text, "tags": len(request.block.tags), "every_ms": poll.group.schedule.every_s * 1000}
        return {**own, **common, "ms": round(poll.seconds * 1000, 2), "quality": poll.bad.text if poll.bad else "good"}

    def _cut(self, request: Request) -> list[Request]:
        """Apply what was learned."""
        row = self._memory.get(_key(request.block.device, request.text))
        if not isinstance(row, dict):
            return [request]
        error = RequestRefused(str(row.get("reason", "")), code=int(row.get("code", 0)))
        pieces = self.split(request, error)
        return [small for piece in pieces for small in self._cut(piece)] if pieces else [request]


def _key(device: str, text: str) -> str:
    return f"{_LEARNED}{device}:{text}"


def tell_load(health: Health, channel: str, bus: Mapping[str, Any]) -> None:
    """Tell when the polls of a channel ask for more than its wire has. `bus`: as of `Planner.bus`."""
    if bus["load"] > 1.0:
        seconds, load = bus["cycle_ms"] / 1000, bus["load"]
        text = f"reading everything once takes {seconds:.2f} s; the intervals ask for {load:.0%} of the wire's time"
        health.set(_OVERLOADED, channel, text, "longer intervals, fewer tags, or another channel")
    elif bus["load"] < _RELIEVED:
        health.clear(_OVERLOADED, channel)
