"""A websocket listener in front of a broker's TCP port, for brokers that are built without websockets.

MQTT over websockets as in MQTT 5.0 section 6: binary frames, subprotocol `mqtt`, packets need not fit frames.
"""

from __future__ import annotations

import asyncio
import contextlib

from websockets.asyncio.server import ServerConnection, serve


@contextlib.asynccontextmanager
async def door(broker_port: int, path: str = "/mqtt"):
    """Yields the port to connect to. Any other path is refused by closing."""

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        if socket.request.path != path:
            return
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", broker_port)
        except OSError:
            return
        try:
            async with asyncio.TaskGroup() as group:
                up = group.create_task(_up(socket, writer))
                down = group.create_task(_down(socket, reader))
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                down.cancel()
        finally:
            writer.close()

    async with serve(handle, "127.0.0.1", 0, subprotocols=["mqtt"], compression=None) as server:  # type: ignore[list-item]
        yield next(iter(server.sockets)).getsockname()[1]


async def _up(socket: ServerConnection, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(Exception):
        async for frame in socket:
            writer.write(frame if isinstance(frame, bytes) else frame.encode())
            await writer.drain()


async def _down(socket: ServerConnection, reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(Exception):
        while data := await reader.read(65536):
            await socket.send(data)
