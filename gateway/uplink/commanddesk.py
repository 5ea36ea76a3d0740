"""The one desk of all commands by id: on disk before they act, done once per rid, one final result each.

Shared by all uplinks and the local socket, so a rid is known gateway-wide. A row is committed before its command may
begin, and the result with it before it is published. What a restart finds unfinished is not done again: it ends as
`interrupted`, with what the device shows now.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gateway.clock import Clock, Timer
from gateway.errors import GatewayError
from gateway.uplink.commandrow import CommandRow, Reply
from gateway.uplink.commands import ACCEPTED, CommandMessage, body, message, named_tags, refusal, too_deep
from gateway.uplink.outbox import Outbox
from gateway.uplink.ports import Caller, CommandTable, Look, OpHandler
from gateway.uplink.rids import Rids, ended_at
from gateway.uplink.turns import Turn, Turns

LONGEST_S = 60.0
"""No command is at work for longer."""
MAX_OPEN = 512
"""Commands that may be unfinished at once, over all devices."""
MAX_REPLIES = 16
"""Repeats of an unfinished command that get an answer of their own."""
ACCEPTED_AFTER_S = 2.5
_READY_S = 10.0
_CLOSE_S = 3.0
_RETRY_S = 1.0
_WHO = 64

_log = logging.getLogger("fieldpost")


class DeskClosed(GatewayError):
    """The gateway stops and takes no command; the broker keeps it."""

    code = 503


class _Work:
    """A command that has not ended. Implements gateway.uplink.turns.Turn."""

    def __init__(self, row: CommandRow, caller: Caller) -> None:
        self.row = row
        self.caller = caller
        self.lane = row.device or ""
        self.tags = frozenset(named_tags(row.op, row.args)) if row.op == "write" and row.device else None
        self.ready = False
        self.result: dict[str, Any] | None = None
        loop = asyncio.get_running_loop()
        self.stored: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[bytes] = loop.create_future()
        for future in (self.stored, self.ended):
            future.add_done_callback(_seen)
        self.timer: Timer | None = None

    @property
    def ending(self) -> bool:
        """Whether its result is certain, though not on disk yet."""
        return self.result is not None


class CommandDesk:
    """`restore` once before anything comes, then `run` for ever, supervised."""

    def __init__(self, table: CommandTable, ops: OpHandler, look: Look, clock: Clock, boot: str) -> None:
        self._table = table
        self._ops = ops
        self._look = look
        self._clock = clock
        self._boot = boot
        self._known = Rids()
        self._open: dict[str, _Work] = {}
        self._turns = Turns(self._begin)
        self._group: asyncio.TaskGroup | None = None
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._closing = False
        self.outbox = Outbox()

    # ------------------------------------------------------------------ life

    def restore(self) -> None:
        """Take up what the table holds."""
        mono, wall, synced = self._clock.mono(), self._clock.wall_ms(), self._clock.synced()
        ended = []
        for row in self._table.rows():
            if row.final:
                ended.append((ended_at(row, self._boot, mono, wall, synced=synced), row))
            else:
                work = _Work(row, Caller(row.origin, row.via, rid=row.rid))
                work.stored.set_result(None)
                self._open[row.rid] = work
        for at, row in sorted(ended, key=lambda pair: pair[0]):
            self._known.add(row.rid, at)
            self.outbox.owe(row.rid, row.replies)

    async def run(self) -> None:
        """Serve until cancelled. What is open now was begun by somebody who is gone: the process before this one, or
        this unit before it was started anew.
        """
        self._turns.clear()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._recover(group, list(self._open.values()))
            self._ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._ready.clear()
                self._group = None

    async def close(self) -> None:
        """Before a planned stop: nothing begins any more; what is at work may end, for a few seconds."""
        self._closing = True
        self._turns.pause()
        timer = self._clock.call_later(_CLOSE_S, self._idle.set)
        try:
            while self._turns.running and not self._idle.is_set():
                await self._idle.wait()
        finally:
            timer.cancel()

    # ------------------------------------------------------------------ taking in

    async def take(self, command: CommandMessage, caller: Caller, reply: Reply) -> bytes | None:
        """A command from an uplink. None: it is on disk and its result goes through the outbox; else the result of a
        rid that has ended, or of a command that cannot be kept, to be published by the caller.
        """
        work = await self._admit(command, caller, (reply,))
        return work if isinstance(work, bytes) else None

    async def ask(self, command: CommandMessage, caller: Caller) -> bytes:
        """A command from somebody who waits: its final result."""
        work = await self._admit(command, caller, ())
        return work if isinstance(work, bytes) else await asyncio.shield(work.ended)

    async def _admit(self, command: CommandMessage, caller: Caller, replies: tuple[Reply, ...]) -> _Work | bytes:
        group = await self._running()
        work = self._open.get(command.rid)
        if work is not None:
            return await self._again(work, replies)
        if command.rid in self._known:
            row = self._table.get(command.rid)
            if row is not None and row.final:
                return row.result
            return self._message(command.rid, body(500, {"text": "done before, but its result cannot be read"}))
        deep = too_deep(command.args)
        work = _Work(self._row(replace(command, args={}) if deep else command, caller, replies), caller)
        work.result = body(400, {"text": "args are nested too deep"}) if deep else self._refusal(work)
        self._open[command.rid] = work
        if work.result is None:
            group.create_task(self._keep(work), name=f"command:{command.rid}")
        else:  # kept at once as ended
            work.stored.set_result(None)
            group.create_task(self._finish(work, work.result), name=f"command:{command.rid}")
        return await self._kept(work)

    async def _again(self, work: _Work, replies: tuple[Reply, ...]) -> _Work | bytes:
        """The same rid while it is not ended: whoever asks is answered too."""
        kept = await self._kept(work)
        if isinstance(kept, bytes) or not replies or len(work.row.replies) >= MAX_REPLIES:
            return kept
        if work.ending:
            return await asyncio.shield(work.ended)
        work.row = replace(work.row, replies=work.row.replies + replies)
        try:
            await self._table.put(work.row)
        except GatewayError as error:
            _log.warning("command %s: who else asked is not kept: %s", work.row.rid, error)
        return work

    async def _kept(self, work: _Work) -> _Work | bytes:
        try:
            await asyncio.shield(work.stored)
        except Exception as error:
            text = f"not done: the journal does not take it: {error}"
            return self._message(work.row.rid, body(500, {"text": text}))
        return work

    async def _running(self) -> asyncio.TaskGroup:
        if not self._ready.is_set() and not self._closing:
            try:
                async with asyncio.timeout(_READY_S):
                    await self._ready.wait()
            except TimeoutError:
                raise DeskClosed("commands are not served now") from None
        if self._closing or self._group is None:
            raise DeskClosed("the gateway stops")
        return self._group

    def _row(self, command: CommandMessage, caller: Caller, replies: tuple[Reply, ...]) -> CommandRow:
        return CommandRow(
            rid=command.rid,
            hash=command.hash,
            op=command.op[:_WHO],
            device=command.device,
            args=command.args,
            origin=caller.who[:_WHO],
            via=caller.via,
            at=self._clock.wall_ms(),
            mono_ms=round(self._clock.mono() * 1000),
            boot=self._boot,
            exp=command.exp,
            ttl=command.ttl,
            replies=replies,
        )

    def _refusal(self, work: _Work) -> dict[str, Any] | None:
        if len(self._open) >= MAX_OPEN:
            return body(429, {"text": f"{MAX_OPEN} commands are not finished"})
        if not self._turns.add(work):
            return body(429, {"text": "too many commands wait for this device"})
        return None

    async def _keep(self, work: _Work) -> None:
        """Commit the row; from then on the command has its turn."""
        try:
            await self._table.put(work.row)
        except Exception as error:
            self._open.pop(work.row.rid, None)
            self._turns.done(work)
            work.stored.set_exception(error)
            work.ended.cancel()
            return
        finally:  # cancelled: it may be on disk, so it counts as begun
            if not work.stored.done():
                work.stored.set_result(None)
        work.ready = True
        work.timer = self._clock.call_later(ACCEPTED_AFTER_S, lambda: self._note(work))
        self._turns.look(work)

    def _note(self, work: _Work) -> None:
        work.timer = None
        if not work.ending:
            payload = self._message(work.row.rid, {"state": ACCEPTED, "code": 202})
            self.outbox.note(work.row.rid, work.row.replies, payload)

    # ------------------------------------------------------------------ doing

    def _begin(self, turn: Turn) -> None:
        assert isinstance(turn, _Work)
        assert self._group is not None
        self._group.create_task(self._perform(turn), name=f"command:{turn.row.rid}")

    async def _perform(self, work: _Work) -> None:
        try:
            result = await self._execute(work)
        finally:  # cancelled: it stays open, nobody knows how far it came
            self._turns.done(work)
            if self._closing and not self._turns.running:
                self._idle.set()
        await self._finish(work, result)

    async def _execute(self, work: _Work) -> dict[str, Any]:
        row = work.row
        left, refused = self._time_left(row)
        if refused is not None:
            return refused
        caller = replace(work.caller, within_s=min(left, LONGEST_S))
        try:
            async with asyncio.timeout(LONGEST_S):
                answer = dict(await self._ops(row.op, row.device, row.args, caller))
        except TimeoutError:
            return body(504, {"text": "no end in time"})
        except Exception as error:
            if not isinstance(error, GatewayError):
                _log.exception("op %s failed", row.op)
            return refusal(error)
        return body(int(answer.pop("code", 200)), answer)

    def _time_left(self, row: CommandRow) -> tuple[float, dict[str, Any] | None]:
        """Seconds left, or the result that refuses it (protocol.md 1.3, 2.8 rule 5)."""
        left = LONGEST_S
        if row.ttl is not None:
            # over a reboot the boot clock began anew: nobody knows how long ago it came
            passed_s = self._clock.mono() - row.mono_ms / 1000.0 if row.boot == self._boot else float("inf")
            left = min(left, row.ttl / 1000.0 - passed_s)
        if row.exp is not None:
            if self._clock.synced():
                left = min(left, (row.exp - self._clock.wall_ms()) / 1000.0)
            elif row.ttl is None:
                return 0.0, body(425, {"text": "the gateway's clock is not synchronised: give a ttl"})
        return (left, None) if left > 0 else (0.0, body(408, {"text": "expired"}))

    async def _finish(self, work: _Work, result: dict[str, Any]) -> None:
        """Commit the result, then tell it. Without room on disk it is tried again: what is told must be kept."""
        work.result = result
        if work.timer is not None:
            work.timer.cancel()
        payload = self._message(work.row.rid, result)
        row = replace(
            work.row,
            args={},
            state=str(result["state"]),
            result=payload,
            ended=self._clock.wall_ms(),
            ended_mono_ms=round(self._clock.mono() * 1000),
            ended_boot=self._boot,
        )
        while True:
            gone = self._known.surplus(self._clock.mono())
            try:
                await self._table.put(row, gone)
                break
            except Exception as error:
                _log.warning("the result of command %s is not on disk yet: %s", row.rid, error)
                await self._clock.sleep(_RETRY_S)
        self._known.forget(gone)
        self.outbox.forget(gone)
        self._known.add(row.rid, self._clock.mono())
        self._open.pop(row.rid, None)
        self.outbox.owe(row.rid, row.replies)
        if not work.ended.done():
            work.ended.set_result(payload)

    def refused(self, rid: str, content: dict[str, Any]) -> bytes:
        """The answer to what is no command: nothing is kept of it."""
        return self._message(rid, content)

    def _message(self, rid: str, content: dict[str, Any]) -> bytes:
        return message(rid, self._clock.wall_ms(), content)

    # ------------------------------------------------------------------ telling

    def result(self, rid: str) -> bytes:
        """The final result of an ended command, empty when it is not known any more."""
        row = self._table.get(rid)
        return row.result if row is not None else b""

    def told(self, rid: str, uplink: str) -> None:
        """An uplink's broker has the result."""
        self.outbox.box(uplink).owed.pop(rid, None)
        self._table.told(rid, uplink)

    # ------------------------------------------------------------------ after a restart

    def _recover(self, group: asyncio.TaskGroup, works: Sequence[_Work]) -> None:
        """End what was interrupted, each device by itself."""
        by_device: dict[str, list[_Work]] = {}
        for work in works:
            if work.result is not None:
                group.create_task(self._finish(work, work.result), name=f"command:{work.row.rid}")
            else:
                by_device.setdefault(work.lane, []).append(work)
        for device, theirs in by_device.items():
            group.create_task(self._end_interrupted(device, theirs), name=f"interrupted:{device}")

    async def _end_interrupted(self, device: str, works: Sequence[_Work]) -> None:
        named = {work: named_tags(work.row.op, work.row.args) for work in works}
        wanted = sorted({tag for tags in named.values() for tag in tags})
        shown = await self._look(device, wanted) if device and wanted else {}
        async with asyncio.TaskGroup() as group:
            for work in works:
                items = {tag: shown[tag] for tag in named[work] if tag in shown}
                content = {"text": "interrupted", **({"items": items} if items else {})}
                group.create_task(self._finish(work, body(500, content)))


def _seen(future: asyncio.Future[Any]) -> None:
    """Whoever waits gets the exception; nobody has to."""
    if not future.cancelled():
        future.exception()
