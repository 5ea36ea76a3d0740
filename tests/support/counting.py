"""Completeness seen from the devices: every register carries its device's poll count, so a lost reading is a hole.

Numbers of the gateway prove what it stored; the counts prove what it read. Both are needed (protocol.md 2.9): what
dies in memory with a kill has no number.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.gateway import Gateway
from tests.support.ledger import Ledger
from tests.support.plant import Plant

Unit = tuple[int, int]
"""(line, unit id) of the plant."""


def device(unit: Unit) -> str:
    """Name of a unit's device in the configuration."""
    return f"d{unit[0]:02d}u{unit[1]:02d}"


def profile(registers: int = 100) -> dict[str, Any]:
    """Profile `counter`: one uint16 tag a register."""
    tags = {f"r{number:03d}": {"address": f"holding/{number}", "type": "uint16"} for number in range(registers)}
    return {"counter": {"tags": tags}}


def channel(plant: Plant, line: int, *, interval: str, timeout: str = "5s", host: str = "127.0.0.1") -> dict[str, Any]:
    """One channel file: the units of a line as devices."""
    devices = {
        device((line, unit)): {"unit_id": unit, "profile": "counter", "interval": interval}
        for unit in plant.lines[line]
    }
    return {
        "driver": "modbus",
        "url": f"tcp://{host}:{plant.ports[line]}",
        "defaults": {"timeout": timeout},
        "devices": devices,
    }


def write_config(
    gateway: Gateway,
    plant: Plant,
    uplinks: Mapping[str, Any],
    *,
    interval: str = "500ms",
    timeout: str = "5s",
    registers: int = 100,
    host: str = "127.0.0.1",
    **store: Any,
) -> None:
    """The whole tree for a counting plant: channels `line00`..., profile `counter`."""
    gateway.write_main(uplinks=uplinks, **store)
    gateway.write("profiles/counter.yaml", profile(registers))
    for line in range(len(plant.lines)):
        content = channel(plant, line, interval=interval, timeout=timeout, host=host)
        gateway.write(f"channels/line{line:02d}.yaml", content)


@dataclass
class Losses:
    """What may be missing, per device: counts that died in memory with a kill or on a cut wire, and counts that a read of
    fewer registers saw (`in_part`), as when a driver looks into a silence.
    """

    allowed: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    in_part: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def killed(self, counts: Mapping[Unit, int], *, interval_s: float, commit_s: float = 1.0) -> None:
        """The gateway was killed when the devices stood at `counts`: one commit interval and one poll may be lost.

        A poll that comes while a commit is being written waits for the next one, hence the quarter second more.
        """
        polls = math.ceil((commit_s + 0.25) / interval_s) + 1
        for unit, count in counts.items():
            self.allowed[device(unit)].update(range(max(1, count - polls + 1), count + 1))

    def in_flight(self, counts: Mapping[Unit, int]) -> None:
        """The gateway was stopped cleanly: only the answer that was on the wire may be lost."""
        for unit, count in counts.items():
            self.allowed[device(unit)].add(count)


def problems(
    ledger: Ledger,
    counts: Mapping[Unit, int],
    losses: Losses | None = None,
    registers: int = 100,
) -> list[str]:
    """Everything that contradicts completeness, in words; empty when all is proved.

    `counts` are the devices' counts after the gateway has ended (or a lower bound): up to there nothing is missing
    but `losses`.
    """
    losses = losses or Losses()
    allowed = losses.allowed
    found = [f"number {number} of {key} has two contents: {a} and {b}" for key, number, a, b in ledger.conflicts[:3]]
    found += [
        f"numbers {holes} of {key} are neither received nor in a gap" for key, holes in ledger.all_missing().items()
    ]
    seen = ledger.counts()
    for unit, last in counts.items():
        name = device(unit)
        mine = seen.get(name, {})
        missing = [count for count in range(1, last + 1) if count not in mine and count not in allowed[name]]
        partial = {
            count: tags for count, tags in mine.items() if tags != registers and count not in losses.in_part[name]
        }
        if missing:
            found.append(f"{name}: counts {missing[:20]} of 1..{last} never came ({len(missing)})")
        if partial:
            found.append(f"{name}: polls came in part: {dict(list(partial.items())[:5])}")
    return found


def strangers(ledger: Ledger, counts: Mapping[Unit, int]) -> dict[str, list[int]]:
    """Good values that no device ever gave, per device. `counts` are final."""
    highest = {device(unit): count for unit, count in counts.items()}
    seen = ledger.counts()
    found = {name: [value for value in seen[name] if not 1 <= value <= most] for name, most in highest.items()}
    return {name: values for name, values in found.items() if values}


def assert_complete(sink_ledger: Ledger, counts: Mapping[Unit, int], losses: Losses | None = None, **more: Any) -> None:
    """Fail with every contradiction at once."""
    found = problems(sink_ledger, counts, losses, **more)
    assert not found, "\n".join(found)
