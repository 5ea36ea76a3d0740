"""A site with rules: two Modbus devices on wires of their own, the installed gateway, a broker and a sink.

`boiler`: temperature, level, setpoint, valve, siren. `pump`: speed, target, run. Each device keeps a log of every
request that reached it, in order; what they show is set from the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.support.cloud import Cloud
from tests.support.eventually import wait_until
from tests.support.field_device import FieldDevice
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.sink import Sink

VALVE, SIREN, SETPOINT, RUN, TARGET = 0, 2, 10, 4, 11
ON, OFF = 0xFF00, 0
TAGS: dict[str, dict[str, dict[str, Any]]] = {
    "boiler": {
        "temperature": {"address": "holding/0", "type": "uint16"},
        "level": {"address": "holding/1", "type": "uint16"},
        "setpoint": {"address": f"holding/{SETPOINT}", "type": "uint16", "access": "rw"},
        "valve": {"address": f"coil/{VALVE}", "type": "bool", "access": "rw"},
        "siren": {"address": f"coil/{SIREN}", "type": "bool", "access": "rw"},
    },
    "pump": {
        "speed": {"address": "holding/0", "type": "uint16"},
        "target": {"address": f"holding/{TARGET}", "type": "uint16", "access": "rw"},
        "run": {"address": f"coil/{RUN}", "type": "bool", "access": "rw"},
    },
}
HOT = {"when": "boiler.temperature > 80", "start": [{"write": {"boiler.valve": True}}]}


class Ruled:
    """The parts. Nothing is running before `start`."""

    def __init__(self, gateway: Gateway, broker: Broker, sink: Sink) -> None:
        self.gateway, self.broker, self.sink = gateway, broker, sink
        self.boiler, self.pump = FieldDevice(), FieldDevice()
        self.clouds: list[Cloud] = []
        for device in (self.boiler, self.pump):
            device.server.registers.update({(1, address): 0 for address in range(20)})
        gateway.write(
            "gateway.yaml",
            {
                "gateway": {"id": "gw"},
                "clock": {"trust": "always"},
                "store": {"path": str(gateway.state), "commit_interval": "200ms"},
                "uplinks": {"cloud": {"urls": [broker.url]}},
            },
        )
        self.channel("boiler", self.boiler)
        self.channel("pump", self.pump)

    # Configuration

    def channel(
        self, name: str, device: FieldDevice, tags: Mapping[str, Any] | None = None, timeout: str = "500ms"
    ) -> None:
        """The channel of one device; `tags` in addition to its own."""
        content = {
            "driver": "modbus",
            "url": f"tcp://127.0.0.1:{device.port}",
            "interval": "50ms",
            "defaults": {"timeout": timeout, "probe": "500ms"},
            "devices": {name: {"unit_id": 1, "tags": {**TAGS[name], **(tags or {})}}},
        }
        self.gateway.write(f"channels/{name}.yaml", content)

    def rules(self, file: str = "main", **rules: Mapping[str, Any]) -> None:
        self.gateway.write(f"rules/{file}.yaml", rules)

    def alarms(self, **alarms: Mapping[str, Any]) -> None:
        self.gateway.write("alarms/main.yaml", alarms)

    def virtual(self, **tags: Mapping[str, Any]) -> None:
        """Tags of the device `site`, which has no wire."""
        self.gateway.write("channels/site.yaml", {"driver": "virtual", "devices": {"site": {"tags": tags}}})

    # Life

    def start(self) -> None:
        self.gateway.start()
        self.wait_good("boiler.temperature", "pump.speed")

    def crash(self) -> None:
        """Kill -9 and a new start."""
        self.gateway.kill()
        self.start()

    def crash_without_waiting(self) -> None:
        """The same, but nothing need be read."""
        self.gateway.kill()
        self.gateway.start()

    def cloud(self) -> Cloud:
        self.clouds.append(Cloud(self.broker.port, name=f"cloud{len(self.clouds)}"))
        return self.clouds[-1]

    def close(self) -> None:
        for cloud in self.clouds:
            cloud.close()
        self.boiler.close()
        self.pump.close()

    # The field

    def set(self, **values: int) -> None:
        """What registers of the boiler (`temperature`, `level`) or the pump (`speed`) show from now on."""
        for name, value in values.items():
            device, address = {"temperature": (self.boiler, 0), "level": (self.boiler, 1), "speed": (self.pump, 0)}[
                name
            ]
            device.server.registers[1, address] = value

    def wait_polls(self, more: int = 4, device: FieldDevice | None = None, within: float = 30) -> None:
        """Wait until a device (the boiler) was asked so often from now on: what it shows now is known by then."""
        asked = device or self.boiler
        before = polls(asked)
        wait_until(lambda: polls(asked) >= before + more, within, every=0.01, why=f"{more} more polls")

    def show(self, polls: int = 4, **values: int) -> None:
        """The boiler shows these values, and was read since."""
        self.set(**values)
        self.wait_polls(polls)

    def wait_writes(self, wanted: Sequence[tuple[int, int]], device: FieldDevice | None = None) -> None:
        """Wait until these writes, and no others, have reached a device (the boiler)."""
        asked = device or self.boiler
        wait_until(lambda: asked.writes() == list(wanted), 30, why=lambda: f"{wanted}; there are {asked.writes()}")

    # The gateway

    def tag(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.gateway.ask("tags", name)["tags"][0]
        return found

    def wait_good(self, *names: str) -> None:
        for name in names:
            wait_until(lambda name=name: self.tag(name)["quality"] == "good", 30, every=0.05, why=f"{name} is good")

    def wait_tag(self, name: str, value: Any, quality: str = "good") -> None:
        def shown() -> bool:
            row = self.tag(name)
            return (row["value"], row["quality"]) == (value, quality)

        wait_until(shown, 30, every=0.05, why=lambda: f"{name} is {value} {quality}; it is {self.tag(name)}")

    def audit(self, **wanted: Any) -> list[dict[str, Any]]:
        """Entries of the audit log with these values."""
        rows = self.gateway.ask("audit", "--limit", "1000")["entries"]
        return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]

    def wait_audit(self, **wanted: Any) -> dict[str, Any]:
        return wait_until(lambda: self.audit(**wanted), 20, every=0.1, why=f"audited: {wanted}")[-1]

    def op(self, name: str, **args: Any) -> dict[str, Any]:
        """A command by id from this machine."""
        words = [f"{key}={value}" for key, value in args.items()]
        return self.gateway.ask("command", name, *words)

    # The broker

    def alarm_entries(self, alarm: str = "") -> list[dict[str, Any]]:
        """Alarm entries that have come to the broker, each number once, in order."""
        return [row for row in self.sink.snapshot().entries("alarm") if not alarm or row["id"] == alarm]

    def states(self, alarm: str) -> list[str]:
        return [row["state"] for row in self.alarm_entries(alarm)]

    def wait_states(self, alarm: str, *wanted: str) -> list[dict[str, Any]]:
        """The entries of an alarm once they are these."""
        wait_until(
            lambda: self.states(alarm) == list(wanted), 30, every=0.05, why=lambda: f"{wanted}: {self.states(alarm)}"
        )
        return self.alarm_entries(alarm)

    def rule_events(self, rule: str) -> list[str]:
        """What the journal says of a rule, as it came to the broker."""
        rows = self.sink.snapshot().entries("event")
        return [row["what"] for row in rows if row["kind"] == "rule" and row["rule"] == rule]

    def wait_rule(self, rule: str, *wanted: str) -> None:
        wait_until(
            lambda: self.rule_events(rule) == list(wanted),
            30,
            every=0.05,
            why=lambda: f"{wanted}: {self.rule_events(rule)}",
        )

    def end(self) -> None:
        """A clean stop, after which nothing is wrong at either end."""
        assert self.gateway.stop() == 0, self.gateway.log()
        assert "Traceback" not in self.gateway.log(), self.gateway.log()
        assert self.sink.errors == []


def polls(device: FieldDevice) -> int:
    """How often its registers were read."""
    return sum(1 for _, function, address, _ in list(device.server.requests) if function == 3 and address == 0)


@pytest.fixture
def ruled(make_gateway: Callable[..., Gateway], broker: Broker, make_sink: Callable[..., Sink]) -> Iterator[Ruled]:
    """A site that is not running yet."""
    made = Ruled(make_gateway(), broker, make_sink(broker.port))
    yield made
    made.close()
