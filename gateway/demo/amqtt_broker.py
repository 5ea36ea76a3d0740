"""amqtt as a process: `python -m gateway.demo.amqtt_broker PORT`. For the demo where mosquitto is not installed.

amqtt speaks MQTT 3.1.1 only and answers an MQTT 5 client in a form that it cannot read. A door in front of it says
"unsupported protocol version" as MQTT 5 does (section 3.2.2.2, 0x84), so that the client falls back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys

_CONNACK_5_UNSUPPORTED = bytes((0x20, 3, 0, 0x84, 0))
_MQTT_5 = 5
_OPENING_S = 10.0
_CHUNK = 1 << 16


async def serve(port: int) -> None:
    """Listen on loopback, let everybody in, until a signal."""
    from amqtt.broker import Broker  # type: ignore[import-untyped, import-not-found, unused-ignore]

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    inner = _free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{inner}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    try:
        async with asyncio.TaskGroup() as group:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                group.create_task(_pass(reader, writer, inner), name="door")

            async with await asyncio.start_server(accept, "127.0.0.1", port):
                await stop.wait()
            raise _Stopped  # noqa: TRY301 - a group is ended by what is raised in it
    except* _Stopped:
        pass
    finally:
        async with asyncio.timeout(5.0):
            await broker.shutdown()


class _Stopped(Exception):
    """Ends the open connections with the group."""


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner: int) -> None:
    """Look at the first packet, then carry bytes both ways until one side ends."""
    try:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_OPENING_S):
                opening, level = await _opening(reader)
            if level == _MQTT_5:
                writer.write(_CONNACK_5_UNSUPPORTED)
                await writer.drain()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", inner)
            far_writer.write(opening)
            await _join(reader, writer, far_reader, far_writer)
    finally:
        writer.close()


async def _opening(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """The bytes of CONNECT up to its protocol level, and the level (MQTT section 3.1.2)."""
    data = await reader.readexactly(2)
    while data[-1] & 0x80 and len(data) < 5:  # remaining length, one to four bytes
        data += await reader.readexactly(1)
    size = await reader.readexactly(2)
    name = await reader.readexactly(min(int.from_bytes(size, "big"), 16) + 1)
    return data + size + name, name[-1]


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            ways = (_carry(reader, far_writer), _carry(far_reader, writer))
            tasks = {group.create_task(way) for way in ways}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
    finally:
        far_writer.close()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(int(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
