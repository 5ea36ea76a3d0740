"""A small device on a socket of this machine, for tests: JSON, a page, a relay and a setpoint to write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import h11


class Plug:
    """`/status` is JSON with everything, `/plain` one number, `/page` a text; `/relay?turn=on` and `/set` write."""

    def __init__(self) -> None:
        self.relay = False
        self.setpoint = 20.5
        self.serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        url = urlsplit(target)
        if method == "GET" and url.path == "/relay" and (turn := parse_qs(url.query).get("turn")):
            self.relay = turn[0] == "on"
        elif method == "POST" and url.path == "/set":
            try:
                self.setpoint = float(json.loads(body)["setpoint"])
            except (ValueError, KeyError, TypeError):
                return 400, "text/plain", b"no setpoint"
        elif method != "GET" or url.path not in {"/status", "/plain", "/page"}:
            return 404, "text/plain", b"no such thing"
        if url.path == "/plain":
            return 200, "text/plain", b" 21.25\r\n"
        if url.path == "/page":
            return 200, "text/html; charset=iso-8859-1", "<td>Power: 230.5 W</td><td>21 °C</td>".encode("latin-1")
        status = {
            "relays": [{"ison": self.relay}],
            "meters": [{"power": 42.5, "total": 1234}],
            "setpoint": self.setpoint,
        }
        return 200, "application/json", json.dumps(status | {"unixtime": 1_790_000_000, "name": "plug"}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept as long as its client wants."""
        state = h11.Connection(h11.SERVER)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server's connections are tasks
        self.serving[task] = writer
        try:
            while await self._one(state, reader, writer):
                pass
        except (OSError, h11.ProtocolError):
            pass
        finally:
            writer.close()
            del self.serving[task]

    async def end(self) -> None:
        """Hang up on everybody."""
        left = dict(self.serving)
        for writer in left.values():
            writer.close()
        await asyncio.gather(*left)

    async def _one(self, state: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request, body = None, b""
        while not isinstance(event := state.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                state.receive_data(await reader.read(16_384))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                return False
        assert request is not None  # noqa: S101 - a message ended
        status, kind, said = self.answer(request.method.decode(), request.target.decode(), body)
        head = h11.Response(status_code=status, headers=[("Content-Type", kind), ("Content-Length", str(len(said)))])
        writer.write(b"".join(state.send(part) or b"" for part in (head, h11.Data(data=said), h11.EndOfMessage())))
        await writer.drain()
        if state.our_state is not h11.DONE:
            return False
        state.start_next_cycle()
        return True


@asynccontextmanager
async def serve() -> AsyncIterator[int]:
    """Serve until the end; gives the port."""
    plug = Plug()
    server = await asyncio.start_server(plug.serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await plug.end()
