"""MQTT devices through the installed gateway: nothing that the broker holds is lost, whatever is killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.mqtt_device import Counting, MqttDevice
from tests.support.scale import scaled
from tests.support.sink import Sink

NUMBER = {"type": "int64", "path": "$.n"}


@pytest.fixture
def make_device() -> Any:
    made: list[MqttDevice] = []

    def make(port: int, name: str = "device", **options: Any) -> MqttDevice:
        made.append(MqttDevice(port, name, **options))
        return made[-1]

    yield make
    for device in made:
        device.close()


def configure(
    gateway: Gateway, broker: Broker, devices: dict[str, Any], *, uplink: bool = True, **channel: Any
) -> None:
    uplinks = {"cloud": {"urls": [broker.url]}} if uplink else {}
    gateway.write_main(uplinks=uplinks)
    gateway.write("channels/plant.yaml", {"driver": "mqtt", "url": broker.url, "devices": devices, **channel})


def values(gateway: Gateway) -> dict[str, Any]:
    return {f"{row['device']}.{row['tag']}": (row["value"], row["quality"]) for row in gateway.ask("tags")["tags"]}


def heard(gateway: Gateway, device: MqttDevice, topic: str, payload: Any, tag: str) -> None:
    """Publish until the gateway shows the tag: it is subscribed then."""

    def shown() -> bool:
        device.publish(topic, payload)
        return values(gateway).get(tag, (None, ""))[1] == "good"

    wait_until(shown, 20, every=0.3, why=f"{tag} is heard")


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
def test_every_number_that_the_broker_holds_arrives_although_the_gateway_is_killed_again_and_again(
    gateway: Gateway,
    make_broker: Callable[..., Broker],
    make_sink: Callable[..., Sink],
    make_device: Callable[..., MqttDevice],
    seed: int,
    protocol: Any,
) -> None:
    dice = random.Random(seed)
    broker = make_broker()
    sink = make_sink(broker.port)
    configure(gateway, broker, {"pump": {"topic": "plant/pump", "tags": {"n": NUMBER}}}, protocol=protocol)
    gateway.start()
    device = make_device(broker.port)
    heard(gateway, device, "plant/pump", {"n": 0}, "pump.n")
    counting = Counting(device, "plant/pump", 0.005)
    for _ in range(scaled(4, 100)):
        time.sleep(dice.uniform(0.3, 1.2))  # the moment itself is what is random
        gateway.kill()
        time.sleep(dice.uniform(0.0, 0.6))
        gateway.start()
    time.sleep(0.5)
    sent = counting.finish()
    assert len(sent) > 200

    def arrived() -> set[int]:
        return {int(r.value) for r in sink.snapshot().readings() if r.device == "pump" and r.value is not None}

    wait_until(
        lambda: not sent - arrived(),
        40,
        every=0.3,
        why=lambda: f"missing {sorted(sent - arrived())[:20]} of {len(sent)}",
    )
    assert sink.snapshot().all_missing() == {} and not sink.errors
