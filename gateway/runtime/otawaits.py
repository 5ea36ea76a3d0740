"""What an update waits for before it is fetched and before it is staged: its hours, its turn, room, a clock, a line
that costs nothing. Each wait has an end, and ends at once when nobody wants the update any more.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.jobs.window import Window, pause, until_open, zone_of
from gateway.jobs.work import LOCAL, Running
from gateway.ota.places import Places
from gateway.ota.request import under_way
from gateway.runtime.fetching import MOST_WRONG, FetchFailed, Plan
from gateway.runtime.otadoc import OtaDoc, own_window

if TYPE_CHECKING:
    from gateway.runtime.node import Node

_SPACE, _SPARE = 1.2, 64 << 20
_DUE, _WRONG = "due", "wrong"


class Limits(Struct, frozen=True):
    """The longest waits in seconds, and how often is looked."""

    clock_s: float = 24 * 3600.0
    link_s: float = 24 * 3600.0
    lock_s: float = 24 * 3600.0
    disk_s: float = 3600.0
    alarm_s: float = 7 * 24 * 3600.0
    metered_s: float = 30 * 24 * 3600.0
    look_s: float = 10.0
    retry_s: float = 30.0
    """Before the repository is asked again at first; each time longer, at most `retry_cap_s`."""
    retry_cap_s: float = 900.0


class NotNow(GatewayError):
    """It would be wrong to fetch now. `reason`: `disk` or `metered`."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class WaitedTooLong(GatewayError):
    """A wait has come to its end. `reason` as in a job's detail."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Waits:
    """Of one update."""

    def __init__(
        self, node: Node, places: Places, doc: OtaDoc, running: Running, limits: Limits,
        draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._node = node
        self._places = places
        self._doc = doc
        self._running = running
        self._limits = limits
        self._draw = draw
        self._since: dict[str, float] = {}

    @property
    def local(self) -> bool:
        """Whether somebody at this machine asked for it: they chose the hour, and the line is theirs."""
        return self._running.job.via == LOCAL

    async def turn(self) -> None:
        """Until its hours have come, its lot is due and nothing forbids it. Raises JobCancelled, WaitedTooLong."""
        if not self.local:
            await self._hours()
            await self._lot()
            await self._hours()
        await self._lock()
        await self._alarms()

    async def a_moment(self, reason: str, text: str, limit_s: float, pause_s: float) -> None:
        """Wait as step `waiting` for something that is looked for again afterwards."""
        now = self._node.clock.mono()
        if now - self._since.setdefault(reason, now) >= limit_s:
            raise WaitedTooLong(reason, text)
        await self._running.step("waiting", reason=reason, text=text)
        await pause(self._running, pause_s, self._node.clock)

    async def clock(self, text: str, pause_s: float) -> None:
        """Until the clock is synced, or some time has passed: it is asked again then. `pause_s`: where it is synced by
        what the gateway goes by, and not by what those who judge releases do.
        """
        clock, limits = self._node.clock, self._limits
        if clock.synced():
            await self.a_moment("clock", text, limits.clock_s, pause_s)
            return
        until = clock.mono() + 60 * limits.look_s
        while not clock.synced() and clock.mono() < until:
            await self.a_moment("clock", text, limits.clock_s, limits.look_s)

    async def later(self, what: NotNow) -> None:
        """Until what forbids it may be over."""
        limit_s = self._limits.disk_s if what.reason == "disk" else self._limits.metered_s
        await self.a_moment(what.reason, str(what), limit_s, self._limits.look_s)

    async def line(self, text: str, pause_s: float) -> None:
        """Before the repository is asked again."""
        await self.a_moment("link", text, self._limits.link_s, pause_s)

    async def wrong(self, failed: FetchFailed, pause_s: float) -> None:
        """Before a file is fetched again that came other than it was signed. Raises WaitedTooLong at last."""
        counts = {**self._running.kept.get(_WRONG, {})}
        counts[failed.file] = count = counts.get(failed.file, 0) + 1
        text = f"{failed}; so it came {count} of {MOST_WRONG} times"
        if count >= MOST_WRONG:
            raise WaitedTooLong("hash", text)
        await self._running.step("waiting", keep={_WRONG: counts}, reason="hash", text=text)
        await pause(self._running, pause_s, self._node.clock)

    def check(self, plan: Plan) -> None:
        """Whether a plan may be carried out now. Raises NotNow."""
        if self._node.settings.ota.metered and plan.urgency != "security" and plan.bytes and not self.local:
            raise NotNow(
                "metered", "the line is paid by volume (`ota.metered`): only releases for security are fetched"
            )
        for folder, needed in ((self._places.base, int(_SPACE * plan.installed)), (self._places.home, plan.bytes)):
            wanted, free = needed + _SPARE, shutil.disk_usage(folder).free
            if free < wanted:
                raise NotNow("disk", f"{folder} has {free >> 20} MiB free, {wanted >> 20} MiB are needed")

    async def _hours(self) -> None:
        node = self._node
        zone = zone_of(node.settings.timezone)

        def closed() -> Window | None:
            both = (own_window(node.settings.ota), self._doc.window)
            return next((one for one in both if one is not None and one.wait_s(node.clock.wall_ms(), zone)), None)

        await until_open(self._running, closed, node.clock, zone)

    async def _lot(self) -> None:
        """A random wait, drawn once for a job: a fleet does not ask all at once."""
        clock, longest = self._node.clock, self._node.settings.ota.jitter_s
        if not longest:
            return
        due = self._running.kept.get(_DUE)
        if due is None:
            due = clock.wall_ms() + round(self._draw() * longest * 1000)
            await self._running.step("waiting", keep={_DUE: due}, reason="jitter")
        left = min((due - clock.wall_ms()) / 1000, longest)  # the clock may have stepped
        if left > 0:
            await self._running.step("waiting", reason="jitter")
            await pause(self._running, left, clock)

    async def _alarms(self) -> None:
        """Some alarms say that now is no time for an update."""
        while not self.local and (keys := self._node.blocked_updates()):
            text = f"alarms that block updates are active: {', '.join(keys[:5])}"
            await self.a_moment("alarm", text, self._limits.alarm_s, self._limits.look_s)

    async def _lock(self) -> None:
        while who := await asyncio.to_thread(under_way, self._places, self._running.job.id):
            await self.others(f"another update ({who}) is under way")

    async def others(self, text: str) -> None:
        """Before it is looked again whether somebody else's update is over."""
        await self.a_moment("lock", text, self._limits.lock_s, self._limits.look_s)
