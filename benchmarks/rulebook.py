"""Rules and alarms over a counting plant, for measurements: all of them are looked at, none of them ever comes true.

Register values are poll counts (tests/support/plant_server.py): far below 65,000 in any measurement.
"""

from __future__ import annotations

import random
from typing import Any

from tests.support.counting import device
from tests.support.gateway import Gateway
from tests.support.plant import Plant


def write_rules(gateway: Gateway, plant: Plant, rules: int, alarms: int = 0, registers: int = 100) -> None:
    """Rules of three terms, each naming one to three tags anywhere in the plant, and limit alarms on its tags."""
    draw = random.Random(1)
    names = [device((line, unit)) for line, units in enumerate(plant.lines) for unit in units]
    tags = [f"{name}.r{number:03d}" for name in names for number in range(registers)]
    gateway.write("rules/load.yaml", {f"rule{number:04d}": _rule(draw, tags) for number in range(rules)})
    if alarms:
        chosen = draw.sample(tags, alarms)
        gateway.write(
            "alarms/load.yaml",
            {f"alarm{number:04d}": {"tag": tag, "above": 65000, "deadband": 10} for number, tag in enumerate(chosen)},
        )


def _rule(draw: random.Random, tags: list[str]) -> dict[str, Any]:
    named = draw.sample(tags, draw.randint(1, 3))
    a, b, c = (named[number % len(named)] for number in range(3))
    # The first two terms are true, so that all three are looked at.
    when = f"{a} >= 0 and {b} < 64000 and {c} > {draw.randint(65000, 65500)}"
    return {"when": when, "for": "10s", "start": [{"log": "never"}], "alarm": {"priority": "low", "text": "never"}}
