"""Does the jobs of the desk, one after the other. What a restart interrupted is taken up first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.backoff import Backoff
from gateway.clock import Clock, Timer
from gateway.errors import GatewayError
from gateway.jobs.desk import JobDesk, Works
from gateway.jobs.row import OPEN, JobRow
from gateway.jobs.work import Ended, Job, JobCancelled, JobRefused, JobState, Work

MAX_RESUMES = 30
"""Restarts at one step, after which a job is given up: it may be what ends the process."""
CANCEL_S = 30.0
"""So long a work may take to end when it is cancelled before its commit point."""
CLOCK_S = 24 * 3600.0
"""So long a job with an `exp` waits for a clock that can be compared with it."""
_TELL_S, _TELL_PERCENT = 5.0, 5
"""Progress is told this often, or at such steps."""
_LOOK_S = 10.0
_RETRY_S, _RETRY_CAP_S = 1.0, 60.0

_log = logging.getLogger("fieldpost.jobs")


class JobWorker:
    """`run` for ever, supervised."""

    def __init__(self, desk: JobDesk, works: Works, clock: Clock) -> None:
        self._desk = desk
        self._works = works
        self._clock = clock
        self._closing = False
        self._clockless: dict[str, float] = {}

    def close(self) -> None:
        """Before a planned stop: nothing begins any more."""
        self._closing = True

    async def run(self) -> None:
        """Serve until cancelled."""
        backoff = Backoff(_RETRY_S, _RETRY_CAP_S)
        while True:
            self._desk.bell.clear()
            try:
                row = None if self._closing else self._desk.turn()
                if row is None:
                    await self._desk.bell.wait()
                elif row.state is JobState.IN_PROGRESS or await self._may_begin(row):
                    await self._serve(row)
                backoff.reset()
            except GatewayError as error:  # a full disk: what cannot be kept is not done
                _log.warning("jobs wait: %s", error)
                await self._clock.sleep(backoff.next())

    async def _may_begin(self, row: JobRow) -> bool:
        """Whether it is not too late. Ends a job that is; waits a moment where nobody knows what time it is."""
        if row.exp is None or self._desk.knows_the_time():
            self._clockless.pop(row.key, None)
            if self._desk.expired(row.exp):
                await self._desk.end(row.key, Ended(JobState.REJECTED, "exp: its time was over before its turn", 408))
                return False
            return True
        now = self._clock.mono()
        if now - self._clockless.setdefault(row.key, now) >= CLOCK_S:
            del self._clockless[row.key]
            text = "the clock was not set for a day, so nobody knows whether the job has expired"
            await self._desk.end(row.key, Ended(JobState.TIMED_OUT, text, 408, {"reason": "clock"}))
            return False
        if row.step != "waiting":
            await self._desk.change(row.key, lambda one: self._moved(one, step="waiting", detail={"reason": "clock"}))
            return False
        timer = self._clock.call_later(_LOOK_S, self._desk.bell.set)
        try:
            await self._desk.bell.wait()
        finally:
            timer.cancel()
        return False

    async def _serve(self, row: JobRow) -> None:
        resumed = row.state is JobState.IN_PROGRESS
        if resumed and row.resumes >= MAX_RESUMES:
            text = f"given up: the gateway was started {MAX_RESUMES} times while it was at `{row.step}`"
            await self._desk.end(row.key, Ended(JobState.FAILED, text, 500))
            return
        begun = await self._desk.change(row.key, self._begun, tell=not resumed)
        if begun is None:
            return
        work = self._works.get(begun.op)
        if work is None:
            await self._desk.end(row.key, Ended(JobState.FAILED, f"op {begun.op} is not known to this release", 404))
            return
        await self._end(row.key, await self._outcome(work, AtWork(self._desk, begun, self._clock, resumed=resumed)))

    def _begun(self, row: JobRow) -> JobRow | None:
        """None for a job that was cancelled just now."""
        if row.final:
            return None
        if row.state is JobState.QUEUED:
            return self._moved(row, state=JobState.IN_PROGRESS, step="accepted", detail={})
        return replace(row, resumes=row.resumes + 1)

    def _moved(self, row: JobRow, **changes: Any) -> JobRow | None:
        return None if row.final else replace(row, ts=self._clock.wall_ms(), **changes)

    async def _outcome(self, work: Work, at_work: AtWork) -> Ended:
        """How a work ended, whatever it did."""
        task = asyncio.get_running_loop().create_task(work.run(at_work), name=f"job:{at_work.key}")
        at_work.begin(task)
        self._desk.at_work = at_work
        try:
            await asyncio.wait({task})
        finally:
            self._desk.at_work = None
            at_work.over()
            if not task.done():  # we are cancelled: the job is taken up after the next start
                task.cancel()
                await asyncio.wait({task})
        return _ended(task, given_up=at_work.given_up)

    async def _end(self, key: str, ended: Ended) -> None:
        """On disk, however long that takes: what was done is not done again for want of a row."""
        backoff = Backoff(_RETRY_S, _RETRY_CAP_S)
        while True:
            try:
                await self._desk.end(key, ended)
            except GatewayError as error:
                _log.warning("the end of job %s waits to be kept: %s", key, error)
                await self._clock.sleep(backoff.next())
            else:
                return


def _ended(task: asyncio.Task[Ended], *, given_up: bool) -> Ended:
    if task.cancelled():
        how = (JobState.CANCELLED, "cancelled; its work was ended", 200)
        return Ended(*how) if given_up else Ended(JobState.FAILED, "its work was ended from inside", 500)
    error = task.exception()
    if error is None:
        ended = task.result()
        if ended.state in OPEN:
            return Ended(JobState.FAILED, f"its work ended as {ended.state}", 500, ended.detail)
        return ended
    if isinstance(error, JobCancelled):
        return Ended(JobState.CANCELLED, str(error))
    if isinstance(error, JobRefused):
        return Ended(JobState.REJECTED, str(error), error.code, error.detail)
    if isinstance(error, GatewayError):
        return Ended(JobState.FAILED, str(error), 500)
    _log.error("the work of a job failed", exc_info=error)
    return Ended(JobState.FAILED, f"{type(error).__name__}: {error}", 500)


class AtWork:
    """gateway.jobs.work.Running: a job at work."""

    def __init__(self, desk: JobDesk, row: JobRow, clock: Clock, *, resumed: bool) -> None:
        self._desk = desk
        self._job = row.job
        self._clock = clock
        self._resumed = resumed
        self.key = row.key
        self._cancelled = asyncio.Event()
        self._task: asyncio.Task[Ended] | None = None
        self._timer: Timer | None = None
        self._told_at, self._told_percent = clock.mono(), row.percent or 0
        self._wanted = not row.cancelled
        self.given_up = False

    @property
    def job(self) -> Job:
        return self._job

    @property
    def resumed(self) -> bool:
        return self._resumed

    @property
    def kept(self) -> Mapping[str, Any]:
        return self._desk.row(self.key).kept

    @property
    def cancelled(self) -> asyncio.Event:
        return self._cancelled

    async def step(
        self, step: str, *, percent: int | None = None, keep: Mapping[str, Any] | None = None, **detail: Any
    ) -> None:
        row = self._desk.row(self.key)
        now, another = self._clock.mono(), step != row.step
        kept = {name: value for name, value in {**row.kept, **(keep or {})}.items() if value is not None}
        percent = percent if percent is not None or another else row.percent
        durable = another or kept != row.kept
        tell = another or now - self._told_at >= _TELL_S or (percent or 0) - self._told_percent >= _TELL_PERCENT
        if tell:
            self._told_at, self._told_percent = now, percent or 0

        def moved(row: JobRow) -> JobRow | None:
            if row.final:
                return None
            details = {**({} if another else row.detail), **detail}
            resumes = 0 if another else row.resumes
            return replace(
                row, step=step, percent=percent, detail=details, kept=kept, resumes=resumes, ts=self._clock.wall_ms()
            )

        await self._desk.change(self.key, moved, durable=durable, tell=tell)

    async def commit(self, *, decided: bool = False) -> None:
        def committed(row: JobRow) -> JobRow:
            if (row.cancelled and not decided) or row.final:
                raise JobCancelled("cancelled before it changed anything")
            return replace(row, committed=True)

        await self._desk.change(self.key, committed, tell=False)

    def begin(self, task: asyncio.Task[Ended]) -> None:
        """Its work has begun."""
        self._task = task
        if not self._wanted:
            self.cancel()

    def cancel(self) -> None:
        """Nobody wants it any more. A work that does not end by itself is ended, as long as it changed nothing."""
        self._cancelled.set()
        if self._timer is None:
            self._timer = self._clock.call_later(CANCEL_S, self._give_up)

    def over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self) -> None:
        if self._task is not None and not self._desk.row(self.key).committed:
            self.given_up = True
            self._task.cancel()
