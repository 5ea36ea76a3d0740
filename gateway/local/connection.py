"""One connection of the local socket: reads request lines, runs their handlers, writes answers in any order.

A call that was taken is finished even when the caller leaves; a stream ends with its reader. Nothing that a peer
sends can raise out of here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

from msgspec import Struct

from gateway.errors import ConfigError, DeviceUnavailable, GatewayError, RequestRefused, WriteRejected
from gateway.local.outbox import Outbox, Stream
from gateway.local.peer import Scope
from gateway.local.wire import OpError, Request, decode_request, encode

Call = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
Source = Callable[[dict[str, Any]], AsyncIterator[dict[str, Any]]]


class Handler(Struct, frozen=True):
    """What serves one op: a coroutine function args -> out, or with `stream` an async generator function of items.

    It raises OpError (or any GatewayError) to refuse; anything else is a bug, is logged and answers 500.
    `scope`: read, operate or admin, what the caller must have (protocol.md 1.5); `scope_of(args)` where that depends on
    what is asked. `caller`: the call gets the name of the peer's user as argument `caller`, whatever the peer says.
    `whole`: no item of the stream is ever dropped, it waits for its reader instead.
    """

    fn: Call | Source
    scope: str = "read"
    stream: bool = False
    scope_of: Callable[[dict[str, Any]], str] | None = None
    caller: bool = False
    whole: bool = False


class Limits(Struct, frozen=True):
    """What one peer may cost. `stall_s`: a peer that takes nothing for so long is cut off. `call_s`: one call."""

    connections: int = 32
    in_flight: int = 16
    line: int = 256 * 1024
    items: int = 1000
    stall_s: float = 30.0
    call_s: float = 300.0


class Connection:
    """Serves one accepted socket until the peer leaves."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handlers: Mapping[str, Handler],
        scope: Scope,
        limits: Limits,
        log: logging.Logger,
        user: Callable[[], str] = lambda: "",
    ) -> None:
        """`user` gives the name of the peer's user; it may block and is called in a thread."""
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._scope = scope
        self._limits = limits
        self._log = log
        self._user = user
        self.outbox = Outbox(limits.items)
        self._running: dict[int | str, tuple[asyncio.Task[None], bool]] = {}

    async def serve(self) -> None:
        """Returns when the peer has left; raises only its own cancellation."""
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write(), name="local:write")
            await self._read(group)
            await self._drain()
            writing.cancel()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as err:
                if err.partial.strip():
                    self._refuse(None, OpError("the last line has no end", code=400))
                return
            except OSError:
                return
            except asyncio.LimitOverrunError:
                self._refuse(None, OpError(f"a request line may have {self._limits.line} bytes", code=413))
                return
            if line.strip() and (answered := self._take(line, group)) is not None:
                await answered.wait()  # a peer that floods and never reads is read no further
            await asyncio.sleep(0)  # nor does it keep the loop to itself

    def _take(self, line: bytes, group: asyncio.TaskGroup) -> asyncio.Event | None:
        """Start what the line asks for, or answer at once: then the event tells when that is written."""
        try:
            request = decode_request(line)
        except OpError as err:
            return self._refuse(None, err)
        try:
            if request.op == "cancel":
                return self._cancel(request)
            handler = self._admit(request)
        except OpError as err:
            return self._refuse(request.id, err)
        work = self._stream(request, handler) if handler.stream else self._call(request, handler)
        task = group.create_task(work, name=f"local:{request.op}")
        self._running[request.id] = (task, handler.stream)
        task.add_done_callback(lambda _: self._running.pop(request.id, None))
        return None

    def _admit(self, request: Request) -> Handler:
        handler = self._handlers.get(request.op)
        if handler is None:
            raise OpError(f"unknown op {request.op!r}", code=404)
        needed = handler.scope if handler.scope_of is None else handler.scope_of(request.args)
        if Scope.parse(needed) > self._scope:
            raise OpError(f"{request.op} needs the scope {needed}, you have {self._scope.name.lower()}", code=403)
        if request.id in self._running:
            raise OpError(f"a request with id {request.id!r} is still running", code=409)
        if len(self._running) >= self._limits.in_flight:
            raise OpError(f"{self._limits.in_flight} requests are in flight on this connection", code=429)
        return handler

    def _cancel(self, request: Request) -> asyncio.Event:
        task, stream = self._running.get(request.args.get("id", ""), (None, False))
        if task is None or not stream:
            raise OpError("no stream with this id is running", code=404)
        task.cancel()
        return self.outbox.put(encode({"id": request.id, "ok": True, "out": {}}))

    async def _call(self, request: Request, handler: Handler) -> None:
        try:
            async with asyncio.timeout(self._limits.call_s):
                named = {"caller": await asyncio.to_thread(self._user)} if handler.caller else {}
                out = await cast("Call", handler.fn)({**request.args, **named})
            line = encode({"id": request.id, "ok": True, "out": out})
        except BaseException as err:
            await self._refuse(request.id, self._explain(request, err)).wait()
            return
        await self.outbox.put(line).wait()  # in flight until it is written: a peer that never reads gets no more

    async def _stream(self, request: Request, handler: Handler) -> None:
        stream = Stream(request.id)
        items = cast("Source", handler.fn)(request.args)
        last: asyncio.Event | None = None
        try:
            async for item in items:
                if handler.whole:
                    await self.outbox.put(encode({"id": request.id, "item": item})).wait()
                else:
                    self.outbox.put_item(stream, item)
            last = self.outbox.put(encode({"id": request.id, "end": True}))
        except asyncio.CancelledError:
            self.outbox.put(encode({"id": request.id, "end": True}))
            raise
        except Exception as err:
            last = self._refuse(request.id, self._explain(request, err))
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        if last is not None:
            await last.wait()  # in flight until it is written, as a call

    def _explain(self, request: Request, err: BaseException) -> OpError:
        if isinstance(err, (KeyboardInterrupt, GeneratorExit)):
            raise err
        if isinstance(err, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise err
            return OpError(f"{request.op} was cancelled inside the gateway", code=500)
        code = _code_of(err)
        if code is None:
            self._log.error("local op %s failed", request.op, exc_info=err)
            return OpError(f"{request.op} failed inside the gateway: {type(err).__name__}: {err}", code=500)
        return OpError(str(err) or type(err).__name__, code=code)

    def _refuse(self, id: int | str | None, err: OpError) -> asyncio.Event:  # noqa: A002 - the field's word
        return self.outbox.put(encode({"id": id, "ok": False, "code": err.code, "text": str(err)}))

    async def _write(self) -> None:
        gone = False
        while True:
            line = await self.outbox.get()
            if gone:
                continue  # calls go on to their end; nobody is there to hear
            self._writer.write(line)
            try:
                async with asyncio.timeout(self._limits.stall_s):
                    await self._writer.drain()
            except TimeoutError:
                self._log.warning("local connection cut off: its reader took nothing for %g s", self._limits.stall_s)
                self._writer.transport.abort()  # the reading side sees the end and winds up
                gone = True
            except OSError:
                gone = True

    async def _drain(self) -> None:
        """After the peer's last line: end the streams, finish the calls, write what there is."""
        for task, stream in list(self._running.values()):
            if stream:
                task.cancel()
        waiting = [task for task, _ in self._running.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=self._limits.call_s)
        await self.outbox.flushed()


def _code_of(err: BaseException) -> int | None:
    """The result code of protocol.md 1.3 for an error that was raised on purpose; None for a bug."""
    if isinstance(err, (OpError, WriteRejected)):
        return err.code
    if isinstance(err, (TimeoutError, DeviceUnavailable)):
        return 504
    if isinstance(err, RequestRefused):
        return 422
    if isinstance(err, ConfigError):
        return 400
    return int(getattr(err, "code", 500)) if isinstance(err, GatewayError) else None
