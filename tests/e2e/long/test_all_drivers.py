"""All drivers in one process: a rule from one to another, and every peer restarted again and again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bluez import BTHOME, Bluetooth
from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.mqtt_device import MqttDevice
from tests.support.opcua_process import PlantProcess
from tests.support.ports import free_port
from tests.support.processes import Processes
from tests.support.scale import scaled
from tests.support.simulated import Simulated

HALL = "AA:BB:CC:00:00:02"
COLD, WARM = "4002c409", "4002800c"
"""BTHome v2: 25.00 °C and 32.00 °C."""
FAN = """
fan:
  tags:
    speed: {address: holding/0, type: uint16}
    run: {address: coil/0, type: bool, access: rw}
"""


class Site:
    """A Modbus device, an OPC UA server, a broker with a device behind it, and a Bluetooth sensor; each by itself."""

    def __init__(self, directory: Path, gateway: Gateway, broker: Broker, bluetooth: Bluetooth, processes: Processes):
        self.gateway, self.broker, self.bluetooth = gateway, broker, bluetooth
        self._directory, self._processes = directory, processes
        self._modbus_port, self._starts = free_port(), 0
        self.modbus = self._simulate()
        self.opcua = PlantProcess()
        self.mqtt = MqttDevice(broker.port)
        bluetooth.device(HALL, name="hall", service={BTHOME: COLD})
        self._configure()

    def _simulate(self) -> Simulated:
        self._starts += 1
        (self._directory / "fan.yaml").write_text(FAN)
        where = ("--port", str(self._modbus_port), "--static")
        return Simulated(self._processes, self._directory, "fan.yaml", *where, name=f"fan{self._starts}")

    def _configure(self) -> None:
        gateway = self.gateway
        gateway.write_main(uplinks={"cloud": {"urls": [self.broker.url]}})
        gateway.write("profiles/fan.yaml", FAN)
        modbus = {"driver": "modbus", "url": f"tcp://127.0.0.1:{self._modbus_port}", "timeout": "500ms"}
        gateway.write(
            "channels/fan.yaml", {**modbus, "devices": {"fan": {"unit_id": 1, "profile": "fan", "interval": "200ms"}}}
        )
        tags: dict[str, Any] = {"speed": {"address": "s=Line.Speed", "type": "float64"}}
        line = {"namespace": "http://plant.example/line", "interval": "200ms", "tags": tags}
        gateway.write("channels/press.yaml", {"driver": "opcua", "url": self.opcua.url, "devices": {"press": line}})
        tank = {"topic": "plant/tank", "format": "json", "tags": {"level": {"path": "$.level", "type": "float64"}}}
        gateway.write(
            "channels/bus.yaml", {"driver": "mqtt", "url": self.broker.url, "patience": "2s", "devices": {"tank": tank}}
        )
        hall = {"address": HALL, "kind": "bthome", "away_after": "3s", "interval": "100ms"}
        tags = {"temperature": {"address": "bthome/temperature", "type": "float64"}}
        gateway.write(
            "channels/radio.yaml", {"driver": "ble", "adapter": "hci0", "devices": {"hall": {**hall, "tags": tags}}}
        )
        tags = {"memory": {"address": "memory/available", "type": "uint64"}}
        gateway.write("channels/self.yaml", {"driver": "system", "devices": {"box": {"interval": "1s", "tags": tags}}})
        cool = {
            "when": "hall.temperature > 30",
            "start": [{"write": {"fan.run": True}}],
            "end": [{"write": {"fan.run": False}}],
        }
        gateway.write("rules/cool.yaml", {"cool": cool})

    def values(self) -> dict[str, tuple[Any, str, int | None]]:
        rows = self.gateway.ask("tags")["tags"]
        return {f"{row['device']}.{row['tag']}": (row["value"], row["quality"], row["ts"]) for row in rows}

    def wait_good(self, within: float = 60) -> None:
        """Until every device's tags are good; the MQTT device says what it has again and again."""

        def good() -> bool:
            self.mqtt.send("plant/tank", {"level": 4.5})
            return all(quality == "good" for _, quality, _ in self.values().values())

        wait_until(good, within, every=0.3, why=lambda: f"all good: {self.values()}; {self.gateway.issues()}")

    def restart_all(self, seed: int) -> None:
        """Every peer goes and comes back."""
        self.modbus.process.kill()
        self.opcua.close()
        self.broker.kill()
        self.bluetooth.stop_bus()
        self.wait_away()
        self.modbus = self._simulate()
        self.opcua = PlantProcess(10, "null", str(seed), port=self.opcua.port)
        self.broker.start()
        self.bluetooth.start()

    def wait_away(self) -> None:
        """Until each of them is seen to be gone."""
        away = ("fan.speed", "press.speed", "tank.level", "hall.temperature")

        def gone() -> bool:
            values = self.values()
            return all(values[name][1] == "bad/comm" for name in away)

        wait_until(gone, 60, every=0.2, why=lambda: f"all away: {self.values()}")

    def close(self) -> None:
        self.mqtt.close()
        self.opcua.close()


@pytest.fixture
def site(
    tmp_path: Path,
    make_gateway: Callable[..., Gateway],
    broker: Broker,
    bluetooth: Bluetooth,
    processes: Processes,
) -> Iterator[Site]:
    made = Site(tmp_path, make_gateway(env=bluetooth.env), broker, bluetooth, processes)
    yield made
    made.close()


def test_a_temperature_from_the_air_switches_a_coil_on_a_wire(site: Site) -> None:
    site.gateway.start()
    site.wait_good()
    assert site.values()["fan.run"][0] is False
    site.bluetooth.device(HALL, service={BTHOME: WARM})
    wait_until(lambda: site.values()["fan.run"][0] is True, 20, every=0.1, why="the fan runs")
    site.bluetooth.device(HALL, service={BTHOME: COLD})
    wait_until(lambda: site.values()["fan.run"][0] is False, 20, every=0.1, why="the fan stands")
    assert site.gateway.stop() == 0


@pytest.mark.timeout(900)
def test_every_peer_restarted_ten_times_and_all_are_back_in_the_same_process(site: Site) -> None:
    gateway = site.gateway.start()
    site.wait_good()
    pid = gateway.pid
    before = _descriptors(pid)
    for turn in range(scaled(10, 50)):
        site.restart_all(turn)
        site.wait_good(90)
        assert gateway.pid == pid and gateway.process.alive
    wait_until(lambda: _descriptors(pid) <= before + 2, 30, every=0.5, why=lambda: f"{before} -> {_descriptors(pid)}")
    assert site.opcua.tell("sessions") == 1
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log(), gateway.log()


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
