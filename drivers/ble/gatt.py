"""A device that is connected to: polls, notifications, reads and writes on demand, over all its connections.

One task a device and session owns the connection and does everything on it in turn. A device with notifications keeps
its connection; one that is polled gives it back between polls when others wait for it.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.ble.address import InGatt
from drivers.ble.budget import Budget
from drivers.ble.client import Connection
from drivers.ble.decoding import Reading
from drivers.ble.settings import ChannelSettings
from drivers.ble.station import Station
from gateway.backoff import Backoff
from gateway.clock import Clock
from gateway.driver import DriverContext, Frame
from gateway.errors import DeviceUnavailable, GatewayError, LinkLost, RequestRefused
from gateway.model import Quality, Tag, Value

RETRY_FIRST_S = 1.0
RETRY_CAP_S = 60.0
_CONFIG = int(Quality.BAD_CONFIG)
_LOOK_S = 1.0
"""How soon a polled device notices that somebody else waits for its connection."""
_MOST_JOBS = 100
"""Requests that wait for one device; more are refused."""

Job = Callable[[Connection], Awaitable[Any]]
Trace = Callable[[Frame], None]


class Link:
    """The connections of one device during one session. `path`: BlueZ' object of the device; `release`
    frees it of a connection that somebody left.
    """

    def __init__(
        self,
        ctx: DriverContext,
        station: Station,
        budget: Budget,
        path: str,
        *,
        keep: bool,
        counts: dict[str, int],
        trace: Trace,
        release: Callable[[str], Awaitable[None]],
    ) -> None:
        settings: ChannelSettings = ctx.channel.settings
        self._ctx = ctx
        self._clock: Clock = ctx.clock
        self._station = station
        self._budget = budget
        self._path = path
        self._keep = keep
        self._counts = counts
        self._trace = trace
        self._release = release
        self._connect_s = float(settings.connect_timeout)
        self._timeout_s = ctx.channel.timeout_s
        self._jobs: deque[tuple[Job, asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._seen = False
        self._polled = _polled(station)
        self._notified = [(i, a) for i, a in station.decoder.in_gatt if station.device.tags[i].spec.source.notify]
        self._refused: dict[int, str] = {}

    # --- from outside

    def seen(self) -> None:
        """The device was heard: a connection is worth a try."""
        self._seen = True
        self._wake.set()

    async def do(self, job: Job) -> Any:
        """Do something on a connection, made for it where there is none. Raises DeviceUnavailable, LinkLost."""
        if len(self._jobs) >= _MOST_JOBS:
            raise DeviceUnavailable(f"{_MOST_JOBS} requests wait for the device already")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.append((job, done))
        self._wake.set()
        return await done

    # --- the task

    async def run(self) -> None:
        """Connect again and again until cancelled."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        try:
            while True:
                try:
                    async with self._budget.slot():
                        await self._connected(backoff)
                except (LinkLost, DeviceUnavailable) as error:
                    self._failed(str(error))
                    await self._pause(backoff.next())
                else:
                    await self._rest()
        finally:
            self._fail_jobs("the channel stopped")

    async def _connected(self, backoff: Backoff) -> None:
        """One connection, from its making to its end."""
        station = self._station
        link = Connection(
            station.address,
            self._path,
            pair=station.settings.pair,
            timeout_s=self._connect_s,
            gone=self._wake.set,
        )
        self._seen = False
        try:
            async with self._budget.connecting:
                await self._release(self._path)
                await link.open()
        except LinkLost:
            self._counts["connect_failures"] += 1
            raise
        try:
            self._counts["connects"] += 1
            await self._subscribe(link)
            station.answered()
            backoff.reset()
            await self._use(link)
        except LinkLost:
            self._counts["disconnects"] += 1
            raise
        finally:
            await link.close()

    async def _use(self, link: Connection) -> None:
        """Work on a connection until it is not needed any more. Raises LinkLost when it goes before that."""
        while link.connected:
            if not (self._keep or self._jobs or self._due(self._clock.mono())) and self._contended:
                return
            await self._turn(link)
        raise LinkLost("the device has let go of the connection")

    @property
    def _contended(self) -> bool:
        """Whether somebody else wants this connection."""
        return self._budget.waiting > 0

    async def _turn(self, link: Connection) -> None:
        """Do one thing on the connection, or wait for one."""
        now = self._clock.mono()
        if self._jobs:
            await self._do_next(link)
        elif due := self._due(now):
            await self._poll(link, due, now)
        else:
            next_due = min((when for when, _, _ in self._polled), default=now + RETRY_CAP_S)
            await self._wait(link, max(next_due - now, 0.0))

    async def _wait(self, link: Connection, seconds: float) -> None:
        """Until there is something to do, the device has gone, or time is over."""
        if self._jobs or not link.connected:
            return
        await self._sleep(seconds if self._keep else min(seconds, _LOOK_S))

    async def _do_next(self, link: Connection) -> None:
        job, done = self._jobs.popleft()
        if done.cancelled():  # whoever asked has given up: nothing is written behind their back
            return
        try:
            result = await job(link)
        except Exception as error:
            if not done.done():
                done.set_exception(error)
            if isinstance(error, LinkLost):
                raise
            if not isinstance(error, GatewayError):
                self._ctx.log.warning("request failed: %r", error)
        else:
            if not done.done():
                done.set_result(result)

    async def _subscribe(self, link: Connection) -> None:
        """Ask for notifications, and read each value once so that it is known before it changes."""
        for i, address in self._notified:
            try:
                what = link.find(address)
                await link.notify(what, functools.partial(self._notification, i, address), self._timeout_s)
                if "read" in what.properties:
                    self._take(await self._read(link, address), [(i, address)])
                self._refused.pop(i, None)
            except RequestRefused as error:
                self._refuse([(i, address)], error)

    def _notification(self, i: int, address: InGatt, data: bytes) -> None:
        try:
            self._counts["notifications"] += 1
            self._show(False, data, f"notified {address.text}")
            self._take(data, [(i, address)])
        except Exception:  # in bleak's own reader: it must not end there
            self._counts["faults"] += 1
            self._ctx.log.exception("a notification")

    # --- polls

    def _due(self, now: float) -> list[int]:
        return [n for n, (when, _, _) in enumerate(self._polled) if when <= now]

    async def _poll(self, link: Connection, due: list[int], now: float) -> None:
        """Read each characteristic that is due, once."""
        wanted: dict[tuple[str, str, int], list[tuple[int, InGatt]]] = {}
        for n in due:
            when, every, (i, address) = self._polled[n]
            self._polled[n] = (max(when + every, now + every / 2) if when else now + every, every, (i, address))
            wanted.setdefault((address.service, address.characteristic, address.instance), []).append((i, address))
        for tags in wanted.values():
            try:
                data = await self._read(link, tags[0][1])
            except RequestRefused as error:
                self._refuse(tags, error)
            else:
                self._take(data, tags, poll=True)
                self._station.there()

    async def _read(self, link: Connection, address: InGatt) -> bytes:
        data = await link.read(link.find(address), self._timeout_s)
        self._counts["gatt_reads"] += 1
        self._show(False, data, f"read {address.text}")
        return data

    def _take(self, data: bytes, tags: list[tuple[int, InGatt]], *, poll: bool = False) -> None:
        decoder = self._station.decoder
        readings: list[Reading] = [decoder.raw(i, address.field.read(data)) for i, address in tags]
        self._station.reporter.put(readings, self._clock.wall_ms(), now=poll)

    def _refuse(self, tags: list[tuple[int, InGatt]], error: RequestRefused) -> None:
        """The device said no for these tags: they are bad, the others go on. Told once."""
        for i, _ in tags:
            if self._refused.get(i) != str(error):
                self._refused[i] = str(error)
                self._station.reporter.put([(i, None, _CONFIG)], self._clock.wall_ms(), now=True)
                self._ctx.explain(self._station.device.tags[i], str(error))

    # --- on demand

    async def read_tags(self, link: Connection, tags: list[tuple[Tag, InGatt]]) -> list[tuple[Value, int]]:
        """Read tags now; a refused one has a bad quality, unless it is the only one."""
        rows: list[tuple[Value, int]] = []
        known: dict[tuple[str, str, int], bytes] = {}
        for tag, address in tags:
            place = (address.service, address.characteristic, address.instance)
            try:
                if place not in known:
                    known[place] = await self._read(link, address)
            except RequestRefused:
                if len(tags) == 1:
                    raise
                rows.append((None, _CONFIG))
                continue
            _, value, code = self._station.decoder.single(tag, address.field.read(known[place]))
            rows.append((value, code))
        return rows

    async def write_tag(self, link: Connection, address: InGatt, raw: Any, response: bool | None) -> None:
        """Write one field; the bytes around it are read before, and stay."""
        what = link.find(address)
        field, old = address.field, b""
        if field.offset or field.low is not None:
            old = await self._read(link, address)
        data = field.write(raw, old)
        self._show(True, data, f"write {address.text}")
        await link.write(what, data, response, self._timeout_s)
        self._counts["gatt_writes"] += 1

    # --- failures

    def _failed(self, why: str) -> None:
        self._station.failing(why)
        self._fail_jobs(why)

    def _fail_jobs(self, why: str) -> None:
        while self._jobs:
            _, done = self._jobs.popleft()
            if not done.done():
                done.set_exception(LinkLost(why))

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try; a device that is heard after the first second is tried at once."""
        self._seen = False
        end = self._clock.mono() + seconds
        await self._clock.sleep(min(seconds, RETRY_FIRST_S))
        while not self._seen and not self._jobs and (left := end - self._clock.mono()) > 0:
            await self._sleep(left)

    async def _rest(self) -> None:
        """Without a connection until the next poll is due or somebody asks."""
        while (
            not self._jobs and (left := min((when for when, _, _ in self._polled), default=0) - self._clock.mono()) > 0
        ):
            await self._sleep(left)

    async def _sleep(self, seconds: float) -> None:
        """Until `_wake` or for some time."""
        self._wake.clear()
        timer = self._clock.call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _show(self, sending: bool, data: bytes, text: str) -> None:
        self._trace(Frame(self._clock.wall_ms(), sending, data, f"{self._station.address} {text}"))


def _polled(station: Station) -> list[tuple[float, float, tuple[int, InGatt]]]:
    """(due, period, (tag, address)) of what is read on schedule; 0: at once."""
    device = station.device
    return [
        (0.0, (device.tags[i].spec.schedule or device.spec.schedule).every_s, (i, address))
        for i, address in station.decoder.in_gatt
        if not device.tags[i].spec.source.notify and not device.tags[i].spec.on_demand
    ]
