"""Memory with every driver at work and one device each; and which libraries a gateway without them has loaded."""

from __future__ import annotations

import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, Rig, rig
from tests.support.bluez import BTHOME, Bluetooth
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.mqtt_device import MqttDevice
from tests.support.opcua_process import PlantProcess
from tests.support.plant import Plant

HALL = "AA:BB:CC:00:00:02"


def measure() -> list[Row]:
    with rig() as parts:
        plant, broker, opcua, bluetooth = parts.plant(1), parts.broker(), PlantProcess(), Bluetooth(parts.processes)
        bluetooth.start()
        device = MqttDevice(broker.port)
        try:
            bluetooth.device(HALL, name="hall", service={BTHOME: "4002c409"})
            gateway = _all(parts, plant, broker, opcua, bluetooth)
            begin = time.monotonic()
            while time.monotonic() - begin < max(SECONDS, 20):
                device.send("plant/tank", {"level": 4.5})
                time.sleep(1)
            rows = gateway.ask("tags")["tags"]
            bad = sorted({row["device"] for row in rows if row["quality"] != "good"})
            memory = gateway.memory()
            gateway.stop()
        finally:
            device.close()
            opcua.close()
            bluetooth.close()
    return [
        at_most(
            "memory, RssAnon, all drivers, one device each",
            memory["RssAnon"],
            65,
            "MB",
            "not good: " + ", ".join(bad) if bad else "all good",
        ),
        Row("  RSS", f"{memory['VmRSS']:.4g} MB"),
    ]


def _all(parts: Rig, plant: Plant, broker: Broker, opcua: PlantProcess, bluetooth: Bluetooth) -> Gateway:
    """A gateway with a channel of each driver."""
    gateway = parts.gateway(plant, broker, start=False, env=bluetooth.env)
    channels = {
        "press": {
            "driver": "opcua",
            "url": opcua.url,
            "devices": {
                "press": {
                    "namespace": "http://plant.example/line",
                    "tags": {"speed": {"address": "s=Line.Speed", "type": "float64"}},
                }
            },
        },
        "bus": {
            "driver": "mqtt",
            "url": broker.url,
            "devices": {"tank": {"topic": "plant/tank", "tags": {"level": {"path": "$.level", "type": "float64"}}}},
        },
        "radio": {
            "driver": "ble",
            "adapter": "hci0",
            "devices": {
                "hall": {
                    "address": HALL,
                    "kind": "bthome",
                    "tags": {"temperature": {"address": "bthome/temperature", "type": "float64"}},
                }
            },
        },
        "box": {
            "driver": "system",
            "devices": {"box": {"tags": {"memory": {"address": "memory/available", "type": "uint64"}}}},
        },
    }
    for name, channel in channels.items():
        gateway.write(f"channels/{name}.yaml", channel)
    gateway.start()
    return gateway


if __name__ == "__main__":
    main(measure)
