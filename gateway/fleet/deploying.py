"""A deployment at the broker: puts jobs there, takes them out, and hears what gateways say, until it is done.

A broker that goes away is waited for: then every job that has not ended is published again, the same, which has no
second effect at a gateway and has it tell again how it stands. What others do on `job/next` is seen: after our own
message came back, another one there means that ours was replaced, and none that somebody took it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from gateway.backoff import Backoff
from gateway.clock import Clock
from gateway.fleet.course import Course, End
from gateway.fleet.deployment import VER, Record
from gateway.fleet.faults import BrokerAway, BrokerRefuses, FleetError, NoAnswer
from gateway.fleet.jobboard import JobBoard, Retained
from gateway.fleet.jobwire import JobStatus
from gateway.fleet.link import Link, Listening
from gateway.fleet.planning import foreign
from gateway.fleet.rollout import Rollout
from gateway.fleet.roster import GatewayInfo
from gateway.mqttclient.connection import Inbound

AWAY_S = 900.0
"""How long a broker that went away is waited for."""
_AT_ONCE = 16
"""Publishes under way."""
_LOOK_S = 1.0

Look = Callable[[Rollout, str], None]
"""Told after each change, with a remark that may be empty."""
Beside = Callable[[Link], Coroutine[Any, Any, None]]
"""What runs on the same connection meanwhile; it never returns by itself."""


class Deploying:
    """Runs one rollout. `replace`: also over jobs of others that have not ended."""

    def __init__(
        self,
        make_link: Callable[[], Link],
        record: Record,
        rollout: Rollout,
        clock: Clock,
        *,
        replace: bool = False,
        look: Look = lambda *_: None,
        beside: Beside | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._make_link = make_link
        self._record = record
        self._deployment = record.deployment
        self._rollout = rollout
        self._clock = clock
        self._replace = replace
        self._look = look
        self._beside = beside
        self._timeout_s = timeout_s
        self._board = JobBoard()
        self._news = self._ignored = 0
        self._mine = {name: self._deployment.payload(name) for name in rollout.courses}
        self._published: dict[str, float] = {}
        self._echoed: set[str] = set()
        self._cleared: set[str] = set()

    async def run(self) -> None:
        """Until the rollout is done. Raises BrokerRefuses, BrokerAway when the broker does not come back, FleetError
        when the record cannot be written; what stands at the broker then stays there.
        """
        backoff = Backoff(0.5, 15.0)
        lost: float | None = None
        while True:
            try:
                async with self._make_link() as link:
                    if lost is not None:
                        self._rollout.pause(self._now() - lost)
                        self._look(self._rollout, "the broker is back")
                    lost = None
                    backoff.reset()
                    await self._with(link)
                    return
            except (BrokerAway, NoAnswer) as away:
                if lost is None:
                    if not self._echoed and not self._published:
                        raise
                    lost = self._now()
                    self._look(self._rollout, f"{away}; it is tried again")
                if self._now() - lost > AWAY_S:
                    raise BrokerAway(f"{away}: not back in {AWAY_S:g} s") from away
                await asyncio.sleep(backoff.next())

    @property
    def retained(self) -> list[str]:
        """The gateways whose job of ours stands at the broker, as far as is known."""
        return [name for name, next_ in self._board.next.items() if next_.payload == self._mine.get(name)]

    @property
    def ignored(self) -> int:
        """Messages that were not what their topic says."""
        return self._ignored + self._board.ignored

    async def _with(self, link: Link) -> None:
        filters = JobBoard.filters(self._deployment.tenant, list(self._rollout.courses))
        self._ignored += self._board.ignored
        self._board = JobBoard()
        self._published.clear()
        async with link.listen(filters, self._take) as listening:
            await listening.settled(lambda: False, self._timeout_s)
            self._missing()
            if self._beside is None:
                await self._until_done(link, listening)
                return
            failed: FleetError | None = None
            async with asyncio.TaskGroup() as group:
                beside = group.create_task(self._run_beside(self._beside, link), name="fleet:serve")
                try:
                    await self._until_done(link, listening)
                except FleetError as error:
                    failed = error
                finally:
                    beside.cancel()
            if failed is not None:
                raise failed

    async def _run_beside(self, beside: Beside, link: Link) -> None:
        try:
            await beside(link)
        except FleetError as error:  # of a connection that is gone the rollout tells itself
            self._look(self._rollout, f"no longer served: {error}")

    async def _until_done(self, link: Link, listening: Listening) -> None:
        while True:
            self._rollout.step(self._now())
            self._refuse_occupied()
            self._rollout.step(self._now())
            self._check_echoes()
            done = self._rollout.done  # before words come in while we publish: those have the next turn
            seen = self._news
            self._note_ends()
            await self._publish(link)
            self._look(self._rollout, "")
            if done and not self._unechoed():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await listening.until(lambda: self._news != seen)  # noqa: B023

    def _take(self, message: Inbound) -> None:
        heard = self._board.take(message)
        topic = message.topic.split("/")
        if topic[4:] == ["job", "next"]:
            self._stands(topic[3], self._board.next.get(topic[3]))
            self._news += 1
        elif heard is not None and heard[0] in self._rollout.courses:
            gateway, what = heard
            now = self._now()
            if isinstance(what, GatewayInfo):
                course = self._rollout.courses[gateway]
                course.see(online=what.online, version=what.version, release=what.release, now=now)
                self._news += 1
            elif isinstance(what, JobStatus) and self._is_of_mine(what):
                self._news += self._rollout.hear(gateway, what, now)

    def _is_of_mine(self, status: JobStatus) -> bool:
        """Whether it is of what was sent: a version that never was says nothing of it."""
        return (status.id, status.ver) == (self._deployment.id, VER)

    def _stands(self, gateway: str, next_: Retained | None) -> None:
        """What stands on a `job/next` has changed, or was told."""
        course = self._rollout.courses.get(gateway)
        if course is None:
            return
        if next_ is not None and next_.payload == self._mine[gateway]:
            self._echoed.add(gateway)
            course.gone_at = None
        elif gateway in self._echoed and course.active and course.withdrawn_at is None and course.gone_at is None:
            course.gone_at = self._now()
            course.gone_why = (
                f"replaced by job {next_.name}" if next_ is not None else "taken out of the broker by somebody else"
            )

    def _missing(self) -> None:
        """After a connection was lost: jobs of ours that the broker has no longer are put there again, unless their
        gateway is away and would only get now what somebody may have cancelled meanwhile.
        """
        for gateway in self._echoed - self._board.next.keys():
            course = self._rollout.courses[gateway]
            if course.active and course.withdrawn_at is None and course.heard is None and not course.online:
                text = "no longer at the broker: somebody took it out, or the broker has lost it"
                course.finish(End("cancelled", text, 409))

    def _refuse_occupied(self) -> None:
        """Where somebody else's job stands that has not ended, ours is not put over it."""
        if self._replace:
            return
        for course in self._rollout.courses.values():
            if course.active and course.gateway not in self._echoed and course.gateway not in self._published:
                foreign = self._foreign(course.gateway)
                if foreign is not None:
                    self._rollout.refuse(course.gateway, f"{foreign.name} is there and may not have ended (--replace)")

    def _foreign(self, gateway: str) -> Retained | None:
        """What others have put there, if a gateway may still act on it."""
        return foreign(self._board.next.get(gateway), self._deployment.id, self._clock.wall_ms())

    def _check_echoes(self) -> None:
        """What the broker took has to come back from it. Raises BrokerRefuses."""
        for name in self._unechoed():
            if self._now() - self._published[name] > self._timeout_s:
                raise BrokerRefuses(
                    f"the job of {name} was published, but the broker did not give it back within"
                    f" {self._timeout_s:g} s: this user may not write or not read job/next; see the access list"
                )

    def _unechoed(self) -> list[str]:
        return [name for name in self._published if name not in self._echoed and self._rollout.courses[name].active]

    def _note_ends(self) -> None:
        for course in self._rollout.courses.values():
            if course.end is not None:
                self._record.note_end(course.gateway, self._clock.wall_ms(), course.end)

    async def _publish(self, link: Link) -> None:
        due = [course for course in self._rollout.courses.values() if self._due(course)]
        for at in range(0, len(due), _AT_ONCE):
            faults: list[FleetError] = []
            async with asyncio.TaskGroup() as group:
                for course in due[at : at + _AT_ONCE]:
                    group.create_task(self._try_send(link, course, faults), name=f"fleet:send[{course.gateway}]")
            if faults:
                raise faults[0]

    def _due(self, course: Course) -> bool:
        """Whether what stands at the broker is not yet what has to."""
        name = course.gateway
        if course.active and course.withdrawn_at is None and course.gone_at is None:
            return name not in self._published
        return name not in self._cleared and self._is_ours(self._board.next.get(name))

    def _is_ours(self, next_: Retained | None) -> bool:
        return next_ is not None and next_.job is not None and next_.job.id == self._deployment.id

    async def _try_send(self, link: Link, course: Course, faults: list[FleetError]) -> None:
        try:
            await self._send(link, course)
        except FleetError as fault:
            faults.append(fault)

    async def _send(self, link: Link, course: Course) -> None:
        name = course.gateway
        topic = f"fp/1/{self._deployment.tenant}/{name}/job/next"
        if not course.active or course.withdrawn_at is not None:
            await link.publish(topic, b"", retain=True)
            self._cleared.add(name)
            return
        self._record.note_sent(name, self._clock.wall_ms())
        there = self._board.next.get(name)
        if there is not None and self._same(there, name):
            self._mine[name] = there.payload  # put there by an earlier run, with its own expiry
        await link.publish(topic, self._mine[name], retain=True)
        self._published[name] = self._now()

    def _same(self, there: Retained, gateway: str) -> bool:
        job = self._deployment.job(gateway)
        found = there.job
        return found is not None and (found.id, found.ver, found.op, found.doc) == (job.id, job.ver, job.op, job.doc)

    def _now(self) -> float:
        return self._clock.mono()
