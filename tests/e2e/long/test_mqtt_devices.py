"""MQTT devices through the installed gateway: nothing that the broker holds is lost, whatever is killed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
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
    for _ in range(scaled(3, 100)):
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


def test_a_broker_that_restarts_while_devices_send_loses_nothing_it_acknowledged(
    gateway: Gateway, broker: Broker, make_sink: Callable[..., Sink], make_device: Callable[..., MqttDevice]
) -> None:
    sink = make_sink(broker.port)
    configure(gateway, broker, {"pump": {"topic": "plant/pump", "tags": {"n": NUMBER}}})
    gateway.start()
    device = make_device(broker.port)
    heard(gateway, device, "plant/pump", {"n": 0}, "pump.n")
    counting = Counting(device, "plant/pump", 0.01)
    for _ in range(scaled(2, 30)):
        time.sleep(0.4)
        broker.restart()
    time.sleep(0.4)
    sent = counting.finish()
    assert len(sent) > 50

    def arrived() -> set[int]:
        return {int(r.value) for r in sink.snapshot().readings() if r.device == "pump" and r.value is not None}

    wait_until(lambda: not sent - arrived(), 40, every=0.3, why=lambda: f"missing {sorted(sent - arrived())[:20]}")
    assert gateway.issues() == []


def test_a_device_that_describes_itself_is_approved_read_written_and_told_away(
    gateway: Gateway, broker: Broker, make_device: Callable[..., MqttDevice]
) -> None:
    bridge = make_device(broker.port, "bridge", will=("zigbee2mqtt/bridge/state", '{"state":"offline"}'))
    feature = {"type": "binary", "property": "state", "value_on": "ON", "value_off": "OFF", "access": 7}
    exposes = [
        {"type": "switch", "features": [feature]},
        {"type": "numeric", "property": "power", "unit": "W", "access": 1},
        {"type": "numeric", "property": "limit", "value_min": 0, "value_max": 100, "access": 7},
    ]
    lamp = {"ieee_address": "0x1", "type": "Router", "friendly_name": "lamp", "definition": {"exposes": exposes}}
    bridge.publish("zigbee2mqtt/bridge/devices", [lamp], retain=True)
    bridge.publish("zigbee2mqtt/bridge/state", {"state": "online"}, retain=True)
    state: dict[str, Any] = {"state": "ON", "power": 5.5, "limit": 50}

    def command(_topic: str, payload: bytes) -> None:
        state.update(json.loads(payload))
        state["limit"] = min(state["limit"], 80)  # what the device makes of it
        bridge.send("zigbee2mqtt/lamp", state)

    bridge.subscribe("zigbee2mqtt/lamp/set")
    bridge.on_command = command
    watch = {"all": {"match": {"source": "zigbee2mqtt"}, "id": "{name}"}}
    configure(gateway, broker, {}, uplink=False, discover={"zigbee2mqtt": "zigbee2mqtt"}, watch=watch)
    gateway.start()
    wait_until(lambda: "lamp" in gateway.cli("discovered").out, 20, every=0.3)
    approved = gateway.cli("discovered", "approve", "plant/zigbee2mqtt:0x1")
    assert approved.code == 0, approved
    heard(gateway, bridge, "zigbee2mqtt/lamp", state, "lamp.power")
    assert values(gateway)["lamp.state"] == (True, "good")
    (done,) = gateway.ask("write", "lamp.state=false")["results"]
    assert (done["state"], done["verified"]) == ("ok", True)
    assert values(gateway)["lamp.state"] == (False, "good")
    (done,) = gateway.cli("write", "lamp.limit=95", "--json").json["results"]
    assert (done["state"], done["value"]) == ("failed", 80.0), "the device says something else"
    bridge.vanish()
    wait_until(lambda: values(gateway)["lamp.power"][1] == "bad/comm", 20, every=0.2)


def test_large_messages_pass_through_and_do_not_pile_up(
    gateway: Gateway, broker: Broker, make_device: Callable[..., MqttDevice]
) -> None:
    tags = {"n": NUMBER}
    configure(gateway, broker, {"d": {"topic": "s/+", "tags": tags}}, uplink=False, receive_maximum=20)
    gateway.start()
    device = make_device(broker.port)
    pad = "x" * 30_000

    def storm(first: int, last: int) -> int:
        for number in range(first, last + 1):
            device.publish(f"s/{number}", {"n": number, "pad": pad})
        wait_until(lambda: values(gateway)["d.n"][0] == last, 60, every=0.3)
        return anonymous(gateway)

    wait_until(lambda: gateway.status()["channels"]["plant"]["state"] == "online", 20, why="up, no device spoke yet")
    heard(gateway, device, "s/0", {"n": 0}, "d.n")
    sizes = [storm(part * 400 + 1, part * 400 + 400) for part in range(3)]
    assert sizes[-1] - sizes[0] < 8_000_000, "24 MB came in between"


def anonymous(gateway: Gateway) -> int:
    """RssAnon of the process in bytes."""
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) * 1024
