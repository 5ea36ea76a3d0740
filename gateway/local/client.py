"""Clients of the local socket: a plain one for the command line, an asyncio one for programs.

    with Client(path) as gateway:
        print(gateway.call("status"))

    async with AsyncClient(path) as gateway:
        async for item in gateway.stream("subscribe"):
            ...

Both raise NotRunning when nobody listens, OpError when the gateway refuses or leaves.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gateway.local.wire import MAX_ANSWER, NotRunning, OpError, decode_message, encode, short_address

_LEFT = "the gateway closed the connection"


class Client:
    """One connection, one request at a time. Not for use by several threads."""

    def __init__(self, path: Path, timeout_s: float = 30.0) -> None:
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            with short_address(path) as address:
                self._socket.connect(address)
        except OSError as err:
            self._socket.close()
            raise NotRunning(why_not(path, err)) from err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def call(self, op: str, args: dict[str, Any] | None = None, timeout_s: float | None = None) -> dict[str, Any]:
        """Do `op` and return its `out`. Raises OpError, with code 504 when no answer came in time."""
        request = self._send(op, args)
        self._socket.settimeout(timeout_s or self._timeout_s)
        while True:
            message = self._receive(op)
            if message.get("id") in {request, None}:
                return _out(message)

    def stream(self, op: str, args: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield items until the gateway ends the stream; waits without limit for the next one.

        What a slow reader lost comes as an item `{"dropped": n}`.
        """
        request = self._send(op, args)
        self._socket.settimeout(None)
        while True:
            message = self._receive(op)
            if message.get("id") not in {request, None}:
                continue
            if "item" in message:
                yield message["item"]
            elif "dropped" in message:
                yield {"dropped": message["dropped"]}
            elif message.get("end"):
                return
            else:
                _out(message)

    def _send(self, op: str, args: dict[str, Any] | None) -> int:
        request = next(self._ids)
        try:
            self._socket.sendall(encode({"id": request, "op": op, "args": args or {}}))
        except TimeoutError as err:
            raise OpError(f"the gateway takes no request: {op}", code=504) from err
        except OSError:
            _out(self._receive(op))  # a refused connection: its reason is the last line
        return request

    def _receive(self, op: str) -> dict[str, Any]:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_ANSWER:
                raise OpError("the answer has no end", code=413)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError as err:
                raise OpError(f"no answer to {op} within {self._socket.gettimeout():g} s", code=504) from err
            except OSError as err:
                raise OpError(_LEFT, code=500) from err
            if not data:
                raise OpError(_LEFT, code=500)
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return decode_message(line)


class AsyncClient:
    """One connection that carries any number of requests at once, up to the server's limit (16)."""

    def __init__(self, path: Path, timeout_s: float = 30.0, items: int = 1000) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._items = items
        self._ids = itertools.count(1)
        self._inboxes: dict[Any, _Inbox] = {}
        self._group = asyncio.TaskGroup()
        self._reading: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._gone: OpError | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout_s):
                with short_address(self._path) as address:
                    reader, self._writer = await asyncio.open_unix_connection(address, limit=MAX_ANSWER)
        except OSError as err:  # TimeoutError is one
            raise NotRunning(why_not(self._path, err)) from err
        await self._group.__aenter__()
        self._reading = self._group.create_task(self._read(reader), name="local-client:read")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            if self._writer is not None and not isinstance(err, asyncio.CancelledError):
                try:
                    async with asyncio.timeout(1.0):
                        await self._writer.wait_closed()
                except OSError:
                    pass

    async def call(self, op: str, args: dict[str, Any] | None = None, timeout_s: float | None = None) -> dict[str, Any]:
        """Do `op` and return its `out`. Raises OpError, with code 504 when no answer came in time."""
        request = await self._send(op, args)
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                return _out(await self._inboxes[request].get())
        except TimeoutError as err:
            raise OpError(f"no answer to {op} in time", code=504) from err
        finally:
            self._inboxes.pop(request, None)

    async def stream(self, op: str, args: dict[str, Any] | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield items until the gateway ends the stream; leaving the loop ends it too (use aclosing).

        At most `items` wait here; beyond that the oldest go. What was lost comes as an item `{"dropped": n}`.
        """
        request = await self._send(op, args)
        inbox = self._inboxes[request]
        ended = False
        try:
            while not ended:
                message = await inbox.get()
                if inbox.dropped:
                    lost, inbox.dropped = inbox.dropped, 0
                    yield {"dropped": lost}
                if "item" in message:
                    yield message["item"]
                elif "dropped" in message:
                    yield {"dropped": message["dropped"]}
                else:
                    ended = True
                    if not message.get("end"):
                        _out(message)
        finally:
            self._inboxes.pop(request, None)
            if not ended and self._gone is None and self._writer is not None:
                self._writer.write(encode({"id": f"end-{request}", "op": "cancel", "args": {"id": request}}))

    async def _send(self, op: str, args: dict[str, Any] | None) -> int:
        if self._gone is not None or self._writer is None:
            raise self._gone or OpError("the client is not connected", code=500)
        request = next(self._ids)
        self._inboxes[request] = _Inbox(self._items)
        self._writer.write(encode({"id": request, "op": op, "args": args or {}}))
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()
        except OSError as err:
            self._inboxes.pop(request, None)
            raise OpError(_LEFT, code=500) from err
        return request

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                message = decode_message(line)
                if message.get("id") is None:
                    raise OpError(str(message.get("text", _LEFT)), code=int(message.get("code", 500)))  # noqa: TRY301
                inbox = self._inboxes.get(message["id"])
                if inbox is not None:
                    inbox.put(message)
            self._gone = OpError(_LEFT, code=500)
        except (OSError, ValueError):
            self._gone = OpError(_LEFT, code=500)
        except OpError as err:
            self._gone = err
        for inbox in self._inboxes.values():
            inbox.put({"ok": False, "code": self._gone.code, "text": str(self._gone)})


class _Inbox:
    """Lines of one request, bounded; only items are ever dropped."""

    def __init__(self, bound: int) -> None:
        self._messages: deque[dict[str, Any]] = deque()
        self._bound = bound
        self._ready = asyncio.Event()
        self.dropped = 0

    def put(self, message: dict[str, Any]) -> None:
        if "item" in message and len(self._messages) >= self._bound:
            self._messages.popleft()
            self.dropped += 1
        self._messages.append(message)
        self._ready.set()

    async def get(self) -> dict[str, Any]:
        while not self._messages:
            self._ready.clear()
            await self._ready.wait()
        return self._messages.popleft()


def _out(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("ok"):
        return dict(message.get("out") or {})
    raise OpError(str(message.get("text", "the gateway refused")), code=int(message.get("code", 500)))


def why_not(path: Path, err: OSError) -> str:
    if isinstance(err, PermissionError):
        return f"you may not use {path}: be root, the gateway's user or a member of its group"
    return f"no gateway is running at {path}"
