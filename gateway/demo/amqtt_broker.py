"""amqtt as a process: `python -m gateway.demo.amqtt_broker PORT`. For the demo where mosquitto is not installed."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys


async def serve(port: int) -> None:
    """Listen on loopback, let everybody in, until a signal."""
    from amqtt.broker import Broker  # type: ignore[import-untyped, import-not-found, unused-ignore]

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    try:
        await stop.wait()
    finally:
        async with asyncio.timeout(5.0):
            await broker.shutdown()


def main() -> int:
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(int(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
