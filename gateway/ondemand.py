"""What is put on a polling wire when somebody asks: writes with their read-back, and reads outside the schedule."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar

from gateway.arbiter import Arbiter, Full
from gateway.clock import Clock
from gateway.driver import Columns, PollingDriver, Request, Writer
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused, WriteRejected
from gateway.model import Quality, Tag, TagSpec, Value, Write, WriteResult, WriteState
from gateway.plans import Line, Planner, Poll
from gateway.transform import is_exponent, with_exponent
from gateway.writes import PendingWrite, matches, read_back_tag

T = TypeVar("T")

Row = tuple[Tag, Value, int, int | None]
"""(tag, value, quality, UTC ms) of a read; the time is None when nothing came."""

_MAX_CUTS = 64
"""Transactions that one read may cost beyond its plan to find what the device refuses."""

_log = logging.getLogger("fieldpost.kernel")


class Wire(Protocol):
    """What is needed of the poller."""

    connected: bool
    alone: bool
    """Nothing is polled on it."""
    undecided: bool
    """The first connect has neither succeeded nor failed: what is asked waits for it."""

    def line(self, device: str) -> Line | None: ...

    def wake(self) -> None: ...

    async def transact(self, line: Line, request: Request, *, publish: bool = True) -> Columns: ...

    async def guarded(self, what: Awaitable[T]) -> T: ...

    async def on_wire(self, what: PendingWrite) -> None: ...

    async def serve_writes(self) -> None:
        """Let the writes that wait go first."""
        ...


class Job(Protocol):
    """What waits for a turn on the wire."""

    async def run(self, desk: OnDemand) -> None:
        """Do it, or a part of it. Raises LinkLost only."""
        ...

    def fail(self, reason: str) -> None:
        """It will never have its turn."""
        ...


class ReadJob:
    """A read outside the schedule, or the read-back of a write. `done` resolves once."""

    def __init__(
        self, line: Line, tags: Sequence[Tag], write: PendingWrite | None = None, *, publish: bool = True
    ) -> None:
        self.line = line
        self.tags = tags
        self.write = write
        self.publish = publish
        self.done: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()

    async def run(self, desk: OnDemand) -> None:
        """Do it on the wire. Raises LinkLost only."""
        if self.write is not None:
            await desk.verify(self.write)
            return
        if self.done.done():  # whoever asked has gone
            return
        try:
            rows = await desk.read_now(self.line, self.tags, publish=self.publish)
        except BaseException as error:  # the wire is gone, or the driver: whoever asked is told at once
            self.fail(str(error))
            raise
        if not self.done.done():
            self.done.set_result(rows)

    def fail(self, reason: str) -> None:
        if self.write is not None:
            self.write.fail(f"written, but not read back: {reason}")
        elif not self.done.done():
            self.done.set_result(nothing(self.tags))


def nothing(tags: Sequence[Tag]) -> list[Row]:
    """The answer for tags of a device that cannot be reached."""
    return [(tag, None, int(Quality.BAD_COMM), None) for tag in tags]


def _refused_quality(error: RequestRefused) -> int:
    return int(Quality.BAD_COMM if error.reason == "comm" else Quality.BAD_CONFIG)


class OnDemand:
    """Writes and reads of one polling channel attempt."""

    def __init__(
        self,
        wire: Wire,
        driver: PollingDriver,
        planner: Planner,
        arbiter: Arbiter[PendingWrite, Job, Poll],
        clock: Clock,
    ) -> None:
        self._wire = wire
        self._driver = driver
        self._planner = planner
        self._arbiter = arbiter
        self._clock = clock

    def writer(self) -> Writer:
        """The driver as a Writer. Raises WriteRejected when it cannot write."""
        if not isinstance(self._driver, Writer):
            raise WriteRejected("this driver cannot write", code=403)
        return self._driver

    async def write(self, write: Write) -> WriteResult:
        """Queue a write and wait for its end."""
        pending = PendingWrite(write)
        line = self._wire.line(pending.device)
        if line is None:
            pending.end(WriteState.REJECTED, 404, f"there is no device {pending.device} on this channel")
        elif not isinstance(self._driver, Writer):
            pending.end(WriteState.REJECTED, 403, "this driver cannot write")
        elif line.monitor.away:
            pending.fail(f"the device is {line.monitor.state}: {line.monitor.reason}")
        else:
            self._queue(pending, line)
        try:
            return await pending.done
        finally:
            if not pending.started:
                self._arbiter.drop_write(pending)
                pending.start()  # disarms the timer; nobody waits for the result any more

    def _queue(self, pending: PendingWrite, line: Line) -> None:
        try:
            older = self._arbiter.put_write(pending)
        except Full:
            pending.end(WriteState.REJECTED, 429, "too many writes wait for this device")
            return
        if older is not None:
            older.end(WriteState.SUPERSEDED, 409, "replaced by a newer value before it was written")
        sure = line.monitor.state == "online"
        pending.expire_in(self._clock, sure=sure, drop=self._arbiter.drop_write)
        self._wire.wake()

    async def perform(self, pending: PendingWrite) -> None:
        """Put a write on the wire. Raises LinkLost only; everything else is the write's result."""
        if pending.done.done():
            return
        if self._clock.mono() >= pending.write.deadline:
            pending.end(WriteState.EXPIRED, 408, "expired before it could be written")
            return
        line = self._wire.line(pending.device)
        if line is None:
            return
        pending.start()
        line.stats.writes += 1
        try:
            await self._wire.on_wire(pending)
        except Exception as error:
            line.stats.write_errors += 1
            pending.end_with(error)
            self._judge(line, error)
            return
        except BaseException:
            pending.fail("the channel stopped during the write; the outcome is not known")
            raise
        await self._read_back(pending, line)

    def _judge(self, line: Line, error: Exception) -> None:
        """What a failed write says about the device and the link."""
        if isinstance(error, LinkLost | ConnectionError):
            raise error
        if isinstance(error, DeviceUnavailable):
            line.monitor.failed(str(error))
        elif not isinstance(error, RequestRefused | WriteRejected | BadFrame):
            _log.error("the driver's write failed", exc_info=error)

    async def _read_back(self, pending: PendingWrite, line: Line) -> None:
        tag = pending.write.tag
        if read_back_tag(tag, line.device.tags) is None:
            pending.end(WriteState.OK, 200)
        elif tag.spec.verify.settle_s > 0:
            try:
                self._arbiter.put_job(ReadJob(line, [tag], pending), self._clock.mono() + tag.spec.verify.settle_s)
            except Full:
                pending.end(WriteState.FAILED, 500, "written, but too many reads wait to read it back")
        else:
            await self.verify(pending)

    async def verify(self, pending: PendingWrite) -> None:
        """Read back and compare. The value read is published like any other. Raises LinkLost only."""
        line = self._wire.line(pending.device)
        shown = read_back_tag(pending.write.tag, line.device.tags) if line is not None else None
        if line is None or shown is None:
            return
        try:
            got, spec = await self._shown(line, shown, pending.write.tag.spec)
        except LinkLost:
            pending.fail("written, but the link was lost before it was read back")
            raise
        except DeviceUnavailable as error:
            line.monitor.failed(str(error))
            pending.fail(f"written, but not read back: {error}")
            return
        except Exception as error:
            pending.end(WriteState.FAILED, 500, f"written, but not read back: {error}")
            return
        except BaseException:
            pending.fail("written, but the channel stopped before it was read back")
            raise
        if matches(spec, pending.write.value, got):
            pending.end(WriteState.OK, 200, value=got, verified=True)
        else:
            line.stats.write_errors += 1
            text = f"written {pending.write.value!r}, but {shown.path} reads {got!r}"
            pending.end(WriteState.FAILED, 500, text, got)

    async def _shown(self, line: Line, tag: Tag, written: TagSpec) -> tuple[Value, TagSpec]:
        """What a tag reads now, and the written tag's spec with the scale that its factor tag says now."""
        factor = line.device.tag(written.scale_from) if written.scale_from is not None else None
        rows = await self._rows(line, [tag] if factor is None else [tag, factor])
        values = {row_tag: value for row_tag, value, _, _ in rows}
        exponent = None if factor is None else values.get(factor)
        if is_exponent(exponent):
            written = with_exponent(written, int(exponent))  # type: ignore[arg-type]
        return values.get(tag), written

    async def read(self, tags: Sequence[Tag], *, publish: bool = True) -> list[Row]:
        """Read tags of one device now, before the polls that wait. `publish` False: nobody but the asker sees them."""
        line = self._wire.line(tags[0].device)
        if line is None or line.monitor.away or not (self._wire.connected or self._wire.undecided):
            return nothing(tags)
        job = ReadJob(line, tags, publish=publish)
        try:
            self._arbiter.put_job(job, self._clock.mono())
        except Full:
            _log.warning("too many reads wait for %s", line.device.id)
            return nothing(tags)
        self._wire.wake()
        return await job.done

    async def read_now(self, line: Line, tags: Sequence[Tag], *, publish: bool = True) -> list[Row]:
        """Read on the wire; what fails is a bad row. Raises LinkLost only."""
        try:
            return await self._rows(line, tags, writes_between=True, publish=publish)
        except LinkLost:
            raise
        except DeviceUnavailable as error:
            line.monitor.failed(str(error))
        except RequestRefused as error:
            return [(tag, None, _refused_quality(error), None) for tag in tags]
        except BadFrame:
            pass
        return nothing(tags)

    async def _rows(
        self, line: Line, tags: Sequence[Tag], *, writes_between: bool = False, publish: bool = True
    ) -> list[Row]:
        """One row per tag. A request that is refused as a whole is cut, so that only the refused tag is bad."""
        found: dict[Tag, Row] = {}
        refused: RequestRefused | None = None
        waiting = deque(self._planner.requests(line.device, tags))
        budget = len(waiting) + _MAX_CUTS
        while waiting:
            if found and writes_between:
                await self._wire.serve_writes()
            request = waiting.popleft()
            budget -= 1
            try:
                columns = await self._wire.transact(line, request, publish=publish)
            except RequestRefused as error:
                refused = error
                pieces = self._planner.split(request, error) if budget > len(waiting) else ()
                waiting.extendleft(reversed(pieces))
                if not pieces:
                    found.update({tag: (tag, None, _refused_quality(error), None) for tag in request.block.tags})
                continue
            found.update(self._columns(request, columns))
        if refused is not None and len(tags) == 1:
            raise refused
        return [found.get(tag, (tag, None, int(Quality.BAD_CONFIG), None)) for tag in tags]

    def _columns(self, request: Request, columns: Columns) -> dict[Tag, Row]:
        ts = columns.ts if columns.ts is not None else self._clock.wall_ms()
        index = columns.index if columns.index is not None else range(len(columns.values))
        codes = columns.quality if columns.quality is not None else [0] * len(columns.values)
        tags = request.block.tags
        return {
            tags[place]: (tags[place], value, int(code), ts)
            for place, value, code in zip(index, columns.values, codes, strict=True)
        }

    def submit(self, job: Job) -> None:
        """Queue a job. Raises Full."""
        self._arbiter.put_job(job, self._clock.mono())
        self._wire.wake()

    def again(self, job: Job, in_s: float) -> None:
        """Queue a job's next part."""
        try:
            self._arbiter.put_job(job, self._clock.mono() + in_s)
        except Full:
            job.fail("too many reads wait on this wire")

    def now(self) -> float:
        return self._clock.mono()

    @property
    def alone(self) -> bool:
        """Whether nobody else wants the wire."""
        return self._wire.alone

    async def guarded(self, what: Awaitable[T]) -> T:
        """Await a call of the driver within the kernel's limit."""
        return await self._wire.guarded(what)

    def fail_device(self, device: str, reason: str) -> None:
        """End all writes that wait for a device: none of them is ever executed."""
        for pending in self._arbiter.writes_to(device):
            self._arbiter.drop_write(pending)
            pending.fail(reason)

    def fail_all(self, reason: str) -> None:
        """End everything that waits."""
        for pending in self._arbiter.writes_to():
            self._arbiter.drop_write(pending)
            pending.fail(reason)
        for job in self._arbiter.take_jobs():
            job.fail(reason)
