"""Taking jobs out of the broker, and asking how they stand: what an operator does without a deployment under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from msgspec import Struct

from gateway.fleet.jobboard import JobBoard
from gateway.fleet.jobwire import JobStatus
from gateway.fleet.link import Link
from gateway.mqttclient.connection import Inbound


class Withdrawn(Struct, frozen=True):
    """What became of a job that was taken out. `state`: a final state of it, `in_progress` when it goes on, `unknown`
    when nothing was heard.
    """

    gateway: str
    job: str
    state: str
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is certainly not going on."""
        return self.state not in {"unknown", "in_progress"}


class Withdrawing:
    """Takes `jobs` (gateway to job id) out."""

    def __init__(self, link: Link, tenant: str, jobs: Mapping[str, str]) -> None:
        self._link = link
        self._tenant = tenant
        self._jobs = dict(jobs)
        self._board = JobBoard()
        self._heard: dict[str, JobStatus] = {}
        self._vers: dict[str, int] = {}

    async def run(self, timeout_s: float, wait_s: float) -> list[Withdrawn]:
        """One result per job. A job that another has replaced meanwhile stays."""
        async with self._link.listen(JobBoard.filters(self._tenant, list(self._jobs)), self._take) as listening:
            await listening.settled(lambda: False, timeout_s)
            there = {name: next_ for name, next_ in self._board.next.items() if name in self._jobs}
            mine = [name for name, next_ in there.items() if next_.job is None or next_.job.id == self._jobs[name]]
            self._heard.clear()
            self._vers = {name: next_.job.ver for name, next_ in there.items() if next_.job is not None}
            for name in mine:
                await self._link.publish(f"fp/1/{self._tenant}/{name}/job/next", b"", retain=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await listening.until(lambda: not self._owed(mine))
            return [self._result(name, taken=name in mine) for name in sorted(self._jobs)]

    def _take(self, message: Inbound) -> None:
        heard = self._board.take(message)
        if heard is None or not isinstance(heard[1], JobStatus) or heard[1].id != self._jobs.get(heard[0]):
            return
        gateway, status = heard[0], heard[1]
        if status.ver == self._vers.get(gateway, status.ver):  # of what stood there, not of a version that never did
            self._heard[gateway] = status

    def _online(self, gateway: str) -> bool:
        info = self._board.roster.gateway(gateway)
        return info is not None and info.online is True

    def _owed(self, gateways: list[str]) -> list[str]:
        """Those that will say something still: online, and neither at an end nor past the point of it."""
        heard = self._heard
        return [
            name
            for name in gateways
            if self._jobs[name]
            and self._online(name)
            and not (name in heard and (heard[name].final or heard[name].committed))
        ]

    def _result(self, gateway: str, *, taken: bool) -> Withdrawn:
        job = self._jobs[gateway]
        heard = self._heard.get(gateway)
        if not taken:
            return Withdrawn(gateway, job, "unknown", "it stood at the broker no longer")
        if not job:
            return Withdrawn(gateway, job, "cancelled", "it was no job; taken out")
        if heard is not None:
            return Withdrawn(gateway, job, "in_progress" if not heard.final else heard.state, heard.text)
        if not self._online(gateway):
            return Withdrawn(
                gateway, job, "cancelled", "taken out; the gateway is offline: if it had begun, it goes on"
            )
        return Withdrawn(gateway, job, "unknown", "taken out; no word of the gateway: it may have ended before")


async def asked_again(link: Link, tenant: str, jobs: Mapping[str, bytes], timeout_s: float, wait_s: float) -> JobBoard:
    """Publish what stands on `job/next` (`jobs`: gateway to payload) once more, and hear what is said to it."""
    board = JobBoard()

    def take(message: Inbound) -> None:
        board.take(message)

    async with link.listen(JobBoard.filters(tenant, list(jobs)), take) as listening:
        await listening.settled(lambda: False, timeout_s)
        same = [name for name, payload in jobs.items() if name in board.next and board.next[name].payload == payload]
        for name in same:
            await link.publish(f"fp/1/{tenant}/{name}/job/next", jobs[name], retain=True)
        online = [name for name in same if (info := board.roster.gateway(name)) is not None and info.online]
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await listening.until(lambda: all(name in board.statuses for name in online))
    return board
