"""The yardstick of OPC UA: asyncua's client and its iterator, which costs less than its handlers. It counts, no more.

Run by the measurement:  python -m benchmarks.bare_opcua URL NODES [handler]
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

from asyncua import Client

from tests.support.opcua_plant import LINE


class Handler:
    """What asyncua's documents show first."""

    def __init__(self) -> None:
        self.count = 0

    def datachange_notification(self, _node: Any, _value: Any, _data: Any) -> None:
        self.count += 1


async def main(url: str, nodes: int, *, handler: bool) -> None:
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    async with Client(url) as client:
        index = await client.get_namespace_index(LINE)
        wanted = [client.get_node(f"ns={index};s=Line.N{number:04d}") for number in range(nodes)]
        counter = Handler() if handler else None
        feed = await client.create_subscription(100, counter, queue_maxsize=10 * nodes)
        await feed.subscribe_data_change(wanted)
        print("reading", flush=True)
        if counter is not None:
            await _tell(lambda: counter.count)
        latest: dict[Any, Any] = {}
        count = 0
        teller = asyncio.create_task(_tell(lambda: count))
        async for event in feed:
            count += 1
            latest[event.node] = (event.value, event.data.monitored_item.Value.SourceTimestamp)
        teller.cancel()


async def _tell(count: Callable[[], int]) -> None:
    """How many have come, once a second."""
    while True:
        await asyncio.sleep(1)
        print(f"received {count()}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), handler="handler" in sys.argv[3:]))
