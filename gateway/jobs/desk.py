"""The one desk of all jobs: on disk before they act and before they are told, one at work at a time in the gateway.

A job is what stands on an uplink's `job/next`. Another one there, or none, cancels it until its commit point. What is
refused changes nothing of the others. An ended job is never done again: its id is known for as long as its row is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from gateway.clock import Clock
from gateway.jobs.intake import Intake, Recorder
from gateway.jobs.messages import MAX_TEXT, JobMessage, NoJob, parse_job, status_body
from gateway.jobs.row import JobRow, JobTable
from gateway.jobs.work import LOCAL, Ended, Job, JobRefused, JobState, Work
from gateway.uplink.joblink import JobBox
from gateway.uplink.ports import JobStatus

T = TypeVar("T")

KEPT_ENDED = 64
"""Jobs that were begun and have ended, and whose ids are known."""
KEPT_REJECTED = 16
"""Jobs that were never begun: they must not drive out the others."""
MAX_DETAIL = 32 * 1024
"""Bytes of a status' detail."""
_EXPIRED, _CONFLICT = 408, 409

_log = logging.getLogger("fieldpost.jobs")


class Works(Protocol):
    def knows(self, op: str) -> bool:
        """Without making anything for it."""
        ...

    def get(self, op: str) -> Work | None:
        """Whoever does the jobs of an op; None for an op that is not known."""
        ...


class Cancellable(Protocol):
    """The job at work."""

    key: str

    def cancel(self) -> None: ...


class JobDesk:
    """`release_ms`: a wall clock before it is certainly wrong (UTC ms). `box`: what an uplink has to tell."""

    def __init__(
        self,
        table: JobTable,
        works: Works,
        clock: Clock,
        release_ms: int,
        audit: Recorder,
        box: Callable[[str], JobBox],
    ) -> None:
        self._table = table
        self._works = works
        self._clock = clock
        self._release_ms = release_ms
        self._audit = audit
        self._box = box
        self._rows: dict[str, JobRow] = {}
        self._next_no = 1
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._also: defaultdict[str, set[str]] = defaultdict(set)
        """Uplinks beside its own on which a job stands too."""
        self._refused: dict[str, NoJob] = {}
        self._intake = Intake(clock, audit)
        self.at_work: Cancellable | None = None
        self.bell = asyncio.Event()

    def restore(self) -> None:
        """Take up what the table holds."""
        for row in self._table.rows():
            self._rows[row.key] = row
            self._next_no = row.no + 1
        self.bell.set()

    # ------------------------------------------------------------------ for uplinks

    async def take(self, uplink: str, ops: Sequence[str], payload: bytes) -> None:
        """What stands on an uplink's `job/next` now; empty when nothing does. `ops`: what this uplink may send. Returns
        when it is on disk, or answered. Raises GatewayError when it finds no room there, or comes too fast.
        """
        await self.sheltered(self._take(uplink, ops, payload))

    def reconnected(self, uplink: str) -> None:
        """An uplink's broker may have missed something: what is not over goes again."""
        box = self._box(uplink)
        box.pending.clear()
        for row in self._rows.values():
            if uplink in row.owed or (not row.final and uplink in self._uplinks(row)):
                box.put(_status(row))

    def told(self, uplink: str, status: JobStatus) -> None:
        """An uplink's broker has a status. Its end is owed no more."""
        row = self._rows.get(status.key)
        if row is not None and row.final and uplink in row.owed:
            self._rows[row.key] = replace(row, owed=tuple(each for each in row.owed if each != uplink))
            self._table.told(row.key, uplink)

    # ------------------------------------------------------------------ for the worker, and for people

    def rows(self) -> list[JobRow]:
        """All that are known, the newest last."""
        return sorted(self._rows.values(), key=lambda row: row.no)

    @property
    def left_out(self) -> dict[str, int]:
        """Messages that were not looked at because too many came, by uplink."""
        return self._intake.left_out

    def row(self, key: str) -> JobRow:
        return self._rows[key]

    def turn(self) -> JobRow | None:
        """What is to be done now: what was begun, else what came first."""
        opened = [row for row in self._rows.values() if not row.final]
        return min(opened, key=lambda row: (row.state is JobState.QUEUED, row.no), default=None)

    def knows_the_time(self) -> bool:
        """Whether the wall clock can be compared with a job's `exp`."""
        return self._clock.synced() or self._clock.wall_ms() >= self._release_ms

    def expired(self, exp: int | None) -> bool:
        return exp is not None and self.knows_the_time() and self._clock.wall_ms() > exp

    async def sheltered(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to its end, also when whoever waits is cancelled: what is in memory must be what is on disk."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def change(
        self, key: str, make: Callable[[JobRow], JobRow | None], *, durable: bool = True, tell: bool = True
    ) -> JobRow | None:
        """Replace a row, one change after the other. `make` gives None to leave it; what it raises is raised. A change
        that is not `durable` waits for the next one that is.
        """

        async def work() -> JobRow | None:
            async with self._lock:
                row = self._rows[key]
                fresh = make(row)
                if fresh is not None and durable:
                    begun = row.state is JobState.QUEUED and fresh.state is JobState.IN_PROGRESS
                    await self._save([fresh], [self._entry(fresh)] if begun else [], tell=tell)
                elif fresh is not None:
                    self._rows[key] = fresh
                    if tell:
                        self._tell(fresh)
                return fresh

        return await self.sheltered(work())

    async def end(self, key: str, ended: Ended) -> None:
        """On disk and in the journal when it returns. Nothing happens to one that has ended."""

        async def work() -> None:
            async with self._lock:
                row = self._rows[key]
                if not row.final:
                    await self._end([self._ended(row, ended)])

        await self.sheltered(work())

    # ------------------------------------------------------------------ taking

    async def _take(self, uplink: str, ops: Sequence[str], payload: bytes) -> None:
        async with self._lock:
            if not payload:
                await self._withdrawn(uplink)
                return
            self._intake.check(uplink)
            message = parse_job(payload)
            if isinstance(message, NoJob):
                self._no_job(uplink, message)
                return
            newest = max((row for row in self._rows.values() if row.id == message.id), key=_version, default=None)
            if newest is None or not self._is_known(uplink, message, newest):
                await self._new(uplink, ops, message)

    def _is_known(self, uplink: str, message: JobMessage, row: JobRow) -> bool:
        """Whether a message about a known id is no news. It is answered then, and has no effect."""
        if message.ver < row.ver:
            _log.info("job %s: version %d came after version %d and is ignored", row.id, message.ver, row.ver)
        elif message.ver == row.ver and (message.digest == row.digest or not row.final):
            if not row.final:
                self._also[row.key].add(uplink)
            self._box(uplink).put(_status(row))
        elif row.final and row.state is JobState.REJECTED and message.ver > row.ver:
            return False  # nothing was begun: a corrected version may be
        elif row.final:
            self._refuse(uplink, message, f"the job ended as {row.state}: give what is new an id of its own")
        elif row.via != uplink:
            self._refuse(uplink, message, f"there is a job of this id, which came over {row.via}")
        elif row.committed:
            self._refuse(uplink, message, f"version {row.ver} is past the point where it could be replaced")
        else:
            return False
        return True

    async def _new(self, uplink: str, ops: Sequence[str], message: JobMessage) -> None:
        self._intake.spend(uplink)
        now = self._clock.wall_ms()
        row = JobRow(
            no=self._next_no,
            id=message.id,
            ver=message.ver,
            op=message.op,
            doc=message.doc,
            digest=message.digest,
            via=uplink,
            at=now,
            ts=now,
            exp=message.exp,
        )
        before = [each for each in self._rows.values() if not each.final and uplink in self._uplinks(each)]
        try:
            self._check(row.job, ops, before)
        except JobRefused as refused:
            self._next_no += 1
            detail = refused.detail
            await self._end([self._ended(row, Ended(JobState.REJECTED, str(refused), refused.code, detail))])
            return
        self._next_no += 1
        await self._replace(before, [row], f"replaced by job {row.id} version {row.ver}")
        self._record(row, 202)

    def _check(self, job: Job, ops: Sequence[str], before: Sequence[JobRow]) -> None:
        """Raises JobRefused."""
        if not self._works.knows(job.op):
            raise JobRefused(f"op: {job.op} is not known here", code=404)
        if job.op not in ops:
            raise JobRefused(f"op: {job.op} is not among the `jobs` of the uplink {job.via}", code=403)
        if self.expired(job.exp):
            raise JobRefused("exp: the job came too late", code=_EXPIRED)
        for row in before:
            if row.committed:
                text = f"job {row.id} is past the point where it could be cancelled, and goes on"
                raise JobRefused(text, code=_CONFLICT)
        try:
            work = self._works.get(job.op)
            assert work is not None
            work.check(job)
        except JobRefused:
            raise
        except Exception as error:  # it comes again with each connection, and must not cost the uplink
            _log.exception("job %s cannot be judged", job.id)
            raise JobRefused(f"{type(error).__name__}: {error}"[:MAX_TEXT], code=500) from error

    async def _withdrawn(self, uplink: str) -> None:
        """Nothing stands on `job/next` any more."""
        self._refused.pop(uplink, None)
        opened = [row for row in self._rows.values() if row.via == uplink and not row.final]
        await self._replace([row for row in opened if not row.committed], [], "withdrawn")
        for row in opened:
            if row.committed:
                detail = {**row.detail, "code": _CONFLICT, "text": "past the point where it could be cancelled"}
                self._box(uplink).put(_status(replace(row, detail=detail)))

    async def _replace(self, before: Sequence[JobRow], rows: Sequence[JobRow], why: str) -> None:
        """Cancel what was before, queue what is new, in one commit."""
        cancelled = Ended(JobState.CANCELLED, why)
        over = [self._ended(row, cancelled) for row in before if row.state is JobState.QUEUED]
        asked = [replace(row, cancelled=True) for row in before if row.state is not JobState.QUEUED]
        if over or asked or rows:
            await self._end(over, [*asked, *rows])
        for row in asked:
            if self.at_work is not None and self.at_work.key == row.key:
                self.at_work.cancel()

    def _no_job(self, uplink: str, message: NoJob) -> None:
        self._intake.spend(uplink)
        if self._refused.get(uplink) != message:  # a retained one comes with each connection
            self._refused[uplink] = message
            _log.warning("what stands on job/next of %s is no job: %s", uplink, message.text)
            details = {"job": message.id, "ver": message.ver, "state": "rejected", "code": message.code}
            self._audit(uplink, "job", "job", **details, text=message.text)
        if message.id and f"{message.id}/{message.ver}" not in self._rows:
            self._answer(uplink, message.id, message.ver, message.text, message.code)

    def _refuse(self, uplink: str, message: JobMessage, text: str) -> None:
        """Answer without a row: the id has one, of what it stands for."""
        self._intake.spend(uplink)
        if f"{message.id}/{message.ver}" in self._rows:
            _log.warning("job %s version %d came again with other content: %s", message.id, message.ver, text)
        self._answer(uplink, message.id, message.ver, text, _CONFLICT)

    def _answer(self, uplink: str, id_: str, ver: int, text: str, code: int) -> None:
        detail = {"text": text, "code": code}
        body = status_body(id_, ver, JobState.REJECTED, self._clock.wall_ms(), detail, step="accepted")
        self._box(uplink).put(JobStatus(id_, ver, body, final=False))

    # ------------------------------------------------------------------ keeping and telling

    def _ended(self, row: JobRow, ended: Ended) -> JobRow:
        detail = _fitting(ended)
        owed = tuple(sorted({row.via, *self._also.pop(row.key, ())} - {LOCAL}))
        now = self._clock.wall_ms()
        return replace(
            row, state=ended.state, ts=now, percent=None, detail=detail, doc={}, kept={}, cancelled=False, owed=owed
        )

    async def _end(self, over: Sequence[JobRow], others: Sequence[JobRow] = ()) -> None:
        """Keep rows, of which some have ended."""
        await self._save([*over, *others], [self._entry(row) for row in over])
        for row in over:
            self._record(row, int(row.detail.get("code", 200)))

    async def _save(self, rows: Sequence[JobRow], entries: Sequence[dict[str, Any]] = (), *, tell: bool = True) -> None:
        known = {**self._rows, **{row.key: row for row in rows}}
        forget = _too_many(known)
        await self._table.put(rows, sorted(forget), entries)
        self._rows = {key: row for key, row in known.items() if key not in forget}
        for row in rows if tell else ():
            if not row.cancelled:  # one that is asked to end tells it when it has
                self._tell(row)
        self.bell.set()

    def _tell(self, row: JobRow) -> None:
        for uplink in sorted({*self._uplinks(row), *row.owed} - {LOCAL}):
            self._box(uplink).put(_status(row))

    def _uplinks(self, row: JobRow) -> set[str]:
        """On whose `job/next` it stood."""
        return {row.via, *self._also.get(row.key, ())}

    def _entry(self, row: JobRow) -> dict[str, Any]:
        entry = {"ts": row.ts, "kind": "job", "op": row.op, "job": row.id, "ver": row.ver, "state": row.state.value}
        return {**entry, "step": row.step, "detail": row.detail}

    def _record(self, row: JobRow, code: int) -> None:
        details: dict[str, Any] = {"op": row.op, "job": row.id, "ver": row.ver, "state": row.state.value, "code": code}
        text = row.detail.get("text")
        self._audit(row.via, "job", "job", **details, **({"text": text} if text else {}))

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody has to


def _status(row: JobRow) -> JobStatus:
    return JobStatus(row.id, row.ver, row.status(), final=row.final)


def _version(row: JobRow) -> int:
    return row.ver


def _fitting(ended: Ended) -> dict[str, Any]:
    """Its detail with text and code, without what is too long to be told."""
    text = ended.text if len(ended.text) <= MAX_TEXT else ended.text[: MAX_TEXT - 1] + "\N{HORIZONTAL ELLIPSIS}"
    said: dict[str, Any] = {**({"text": text} if text else {}), "code": ended.code}
    whole = {**ended.detail, **said}
    try:
        return whole if len(msgspec.json.encode(whole)) <= MAX_DETAIL else {**said, "cut": True}
    except (TypeError, ValueError):
        _log.exception("the detail of a job cannot be written as JSON")
        return said


def _too_many(rows: dict[str, JobRow]) -> set[str]:
    """Keys of ended jobs that are forgotten: the oldest, and versions that a newer one has replaced and nobody waits
    for.
    """
    newest: dict[str, int] = {}
    for row in rows.values():
        newest[row.id] = max(row.ver, newest.get(row.id, 0))
    ended = sorted((row for row in rows.values() if row.final), key=lambda row: row.no)
    gone = {row.key for row in ended if row.ver < newest[row.id] and not row.owed}
    for most, rejected in ((KEPT_ENDED, False), (KEPT_REJECTED, True)):
        kind = [row.key for row in ended if (row.state is JobState.REJECTED) is rejected and row.key not in gone]
        gone.update(kind[: max(0, len(kind) - most)])
    return gone
