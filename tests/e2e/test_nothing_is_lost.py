"""The promise of the project: what a device answered arrives, once or identically again, whatever breaks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.support.eventually import wait_until
from tests.support.mosquitto import Broker
from tests.support.proxy import Proxy
from tests.support.scale import scaled
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]
MakeProxy = Callable[[int], Proxy]


@pytest.mark.parametrize("codec", ["json", "native"])
def test_every_poll_arrives_once_when_nothing_breaks(make_scene: MakeScene, codec: str) -> None:
    scene = make_scene(codec=codec)
    scene.wait_polls(6)
    scene.finish()
    assert scene.sink.snapshot().duplicates == 0
    assert set(scene.plant.accepted()) == {1}, "one connection per device for the whole run"
    assert scene.plant.requests() == scene.plant.counts(), "100 contiguous registers are one request per poll"


def test_everything_arrives_after_the_broker_was_stopped(make_scene: MakeScene) -> None:
    scene = make_scene()
    scene.wait_polls(3)
    scene.broker.stop()
    scene.wait_polls(scaled(12, 120), within=scaled(60, 300))
    scene.broker.start()
    scene.finish()
    assert scene.sink.snapshot().historical > 0, "what waited is marked as historical"


@pytest.mark.timeout(300)
def test_fl_1_everything_arrives_after_a_dead_link_that_heals(
    make_scene: MakeScene, make_proxy: MakeProxy, broker: Broker
) -> None:
    """FL-1: TCP stays open, nothing gets through, then it heals by itself."""
    proxy = make_proxy(broker.port)
    scene = make_scene(broker=broker, port=proxy.port)
    scene.wait_polls(3)
    proxy.black_hole()
    scene.wait_polls(scaled(16, 120), within=scaled(60, 300))
    proxy.pass_()
    scene.finish()


@pytest.mark.timeout(300)
def test_fl_1_everything_arrives_after_a_dead_link_that_stays_dead(
    make_scene: MakeScene, make_proxy: MakeProxy, broker: Broker
) -> None:
    """FL-1: bytes were swallowed and the connection never delivers again: only the missing PUBACK can tell."""
    proxy = make_proxy(broker.port)
    scene = make_scene(broker=broker, port=proxy.port)
    scene.wait_polls(3)
    proxy.swallow()
    scene.wait_polls(6)
    proxy.pass_()
    wait_until(lambda: proxy.accepted >= 2, 60, why="the missing acknowledgement ends the connection")
    scene.finish()


def test_fl_1_everything_arrives_after_a_reset_in_mid_stream(
    make_scene: MakeScene, make_proxy: MakeProxy, broker: Broker
) -> None:
    """FL-1: connections are cut at arbitrary bytes, several times."""
    proxy = make_proxy(broker.port)
    scene = make_scene(broker=broker, port=proxy.port)
    for count in (1_000, 7_777, 3):
        scene.wait_polls(2)
        before = proxy.accepted
        proxy.cut_after(count)
        wait_until(lambda seen=before: proxy.accepted > seen, 60, why="the gateway connects again")
    scene.wait_polls(2)
    proxy.pass_()
    scene.finish()


@pytest.mark.timeout(3 * 3600 if scaled(0, 1) else 420)
@pytest.mark.parametrize("codec", ["json"])
def test_fl_2_kill_9_at_random_moments_loses_no_more_than_one_commit(
    make_scene: MakeScene, seed: int, codec: str
) -> None:
    """FL-2: the gateway is killed while it polls, while the broker is away, and while it drains."""
    dice = random.Random(seed)
    scene = make_scene(codec=codec, interval_s=0.25)
    kills = scaled(10, 200)
    for kill in range(kills):
        # A third of the kills hits the drain of a backlog that an outage of the broker made.
        drains = kill % 3 == 1
        if drains:
            scene.broker.stop()
        scene.wait_polls(dice.randrange(1, 9))
        if drains:
            scene.broker.start()
        time.sleep(dice.uniform(0, 1.2))  # the moment itself is what is random
        scene.kill_gateway()
        scene.gateway.start()
    scene.finish()
    assert len({epoch for _, epoch in scene.sink.snapshot().numbers}) == 1, "a kill starts no new epoch"


@pytest.mark.timeout(3 * 3600 if scaled(0, 1) else 420)
def test_fl_2_with_consumer_ack_even_a_killed_broker_loses_nothing(
    make_scene: MakeScene, make_broker: Callable[..., Broker], seed: int
) -> None:
    """FL-2: a broker that is killed forgets what it acknowledged; the cursor waits for the consumer's word."""
    dice = random.Random(seed)
    scene = make_scene(broker=make_broker(persistence=False), ack="consumer")
    for kill in range(scaled(4, 40)):
        scene.wait_polls(dice.randrange(1, 5))
        if kill % 2:
            scene.kill_gateway()
        scene.broker.kill()
        if scene.gateway.process.alive:
            scene.wait_polls(2)
        scene.broker.start()
        scene.sink.wait_subscribed()
        if not scene.gateway.process.alive:
            scene.gateway.start()
    scene.finish()


def test_a_clean_stop_loses_nothing_at_all(make_scene: MakeScene) -> None:
    """SIGTERM commits what is in memory: only the answer on the wire at that moment may be missing."""
    scene = make_scene()
    for _ in range(3):
        scene.wait_polls(2)
        assert scene.gateway.stop() == 0
        scene.losses.in_flight(scene.plant.counts())
        scene.gateway.start()
    scene.finish()


def test_fl_53_it_starts_reads_and_keeps_without_any_broker(
    make_scene: MakeScene, make_broker: Callable[..., Broker]
) -> None:
    """FL-53: no broker answers at start; polling and journal run, and everything arrives later."""
    broker = make_broker()
    scene = make_scene(broker=broker, start=False)
    broker.stop()
    scene.gateway.start()
    scene.wait_polls(8)
    status = scene.gateway.status()
    assert status["ready"]
    assert status["uplinks"]["cloud"]["state"] != "online"
    assert status["journal"]["streams"]["telemetry"]["last"] > 0
    broker.start()
    scene.finish()
    assert "Traceback" not in scene.gateway.log()
