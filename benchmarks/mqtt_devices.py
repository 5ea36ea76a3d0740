"""MQTT devices: 20 of them with ten values a message, QoS 1, JSON, every reading in the journal before it is acknowledged,
beside a loop of aiomqtt and json.loads that keeps nothing.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable

from benchmarks.mqtt_bare import DEVICES, VALUES
from benchmarks.report import Row, at_least, at_most, main
from benchmarks.rig import SECONDS, Rig, cpu_seconds, rig
from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.processes import ROOT, Process

RATE = 500.0


def measure() -> list[Row]:
    with rig() as parts:
        broker = parts.broker()
        gateway = _gateway(parts, broker)
        ours, rate = _cost(parts, broker, RATE, gateway.pid, lambda: _taken(gateway))
        flat_cpu, flat = _cost(parts, broker, 0, gateway.pid, lambda: _taken(gateway))
        gateway.stop()
        bare = _process(parts, "take", str(broker.port))
        bare.wait_output("taking")
        theirs, _ = _cost(parts, broker, RATE, bare.pid, lambda: _last(bare, "came"))
        bare_cpu, bare_flat = _cost(parts, broker, 0, bare.pid, lambda: _last(bare, "came"))
    return [
        at_most("CPU s per million readings, MQTT devices, 500 messages/s", ours, 20, "s", f"{rate * VALUES:.0f}/s"),
        Row("  aiomqtt and json.loads, nothing kept, same run", f"{theirs:.4g} s"),
        at_most("  ratio to it", ours / theirs, 1.5, "x"),
        at_least("  as fast as they come, messages/s", flat, 1500, "/s", f"{flat_cpu:.3g} CPU s per million readings"),
        Row("  aiomqtt and json.loads", f"{bare_flat:.4g} /s", note=f"{bare_cpu:.3g} CPU s per million readings"),
    ]


def _gateway(parts: Rig, broker: Broker) -> Gateway:
    gateway = Gateway(parts.processes, parts.directory / "gateway", name="gateway", env={"FIELDPOST_LOG": "WARNING"})
    parts._gateways.append(gateway)
    gateway.write_main(uplinks={})
    tags = {f"v{k}": {"type": "float64"} for k in range(VALUES)}
    devices = {f"d{{00..{DEVICES - 1}}}": {"topic": "plant/{device}/state", "tags": tags}}
    gateway.write("channels/plant.yaml", {"driver": "mqtt", "url": broker.url, "devices": devices})
    return gateway.start()


def _process(parts: Rig, *arguments: str) -> Process:
    argv = [sys.executable, "-m", "benchmarks.mqtt_bare", *arguments]
    return parts.processes.start(arguments[0], argv, cwd=ROOT)


def _cost(parts: Rig, broker: Broker, rate: float, pid: int, taken: Callable[[], int]) -> tuple[float, float]:
    """(CPU seconds per million readings, messages per second) of a process while a sender sends."""
    sender = _process(parts, "send", str(broker.port), str(rate))
    before = taken()
    wait_until(lambda: taken() > before, 30, why="messages come")
    time.sleep(2)
    cpu, count, begin = cpu_seconds(pid), taken(), time.monotonic()
    time.sleep(SECONDS)
    used, came, lasted = cpu_seconds(pid) - cpu, taken() - count, time.monotonic() - begin
    sender.kill()
    return used / (came * VALUES) * 1e6, came / lasted


def _taken(gateway: Gateway) -> int:
    """Messages whose readings are on disk: what the gateway has acknowledged."""
    return int(gateway.status()["channels"]["plant"]["stats"]["acknowledged"])


def _last(process: Process, word: str) -> int:
    found = re.findall(rf"{word} (\d+)", process.output())
    return int(found[-1]) if found else 0


if __name__ == "__main__":
    main(measure)
