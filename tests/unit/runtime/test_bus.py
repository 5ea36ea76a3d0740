import asyncio
import logging

from gateway.bus import Bus
from gateway.model import Batch, Block
from tests.unit.runtime.support import bound, channel, tag


def batch(value=1):
    _, (device,) = bound(channel(tag("speed")))
    return Batch(Block(device.id, device.tags), [value], 1, 0.0)


def test_fl_46_a_failing_subscriber_is_counted_and_told_once_and_the_others_get_every_batch(caplog):
    bus, seen = Bus(), []

    def broken(_batch):
        raise RuntimeError("planned")

    bus.subscribe("broken", broken)
    bus.subscribe("good", seen.append)
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            bus.publish(batch())
    assert len(seen) == 5
    assert bus.errors == 5
    assert len([r for r in caplog.records if "broken" in r.getMessage()]) == 1


async def test_a_slow_watcher_loses_the_oldest_and_knows_how_many():
    bus = Bus()
    feed = bus.watch(bound=3)
    for value in range(10):
        bus.publish(batch(value))
    got = [(await asyncio.wait_for(feed.get(), 1)).values[0] for _ in range(3)]
    assert got == [7, 8, 9]
    assert feed.dropped == 7
    bus.unwatch(feed)
    bus.publish(batch())
    assert len(feed) == 0
