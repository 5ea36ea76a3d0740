"""Modbus requests: 100 contiguous registers, and 111 mixed tags within 230 registers."""

import random
import time
from typing import Any

from benchmarks.report import Row, at_most, main
from benchmarks.rig import rig

WIDTH = {"uint16": 1, "int16": 1, "uint32": 2, "float32": 2, "int32": 2, "float64": 4, "uint64": 4}


def mixed(seed: int = 1) -> dict[str, Any]:
    """111 tags of mixed types from holding/0 on, the last one ending at or before register 229."""
    dice = random.Random(seed)
    types = ["uint16"] * 45 + ["int16"] * 20 + ["uint32"] * 12 + ["float32"] * 12 + ["int32"] * 10
    types += ["float64"] * 6 + ["uint64"] * 6
    dice.shuffle(types)
    tags, at, spare = {}, 0, 230 - sum(WIDTH[kind] for kind in types)
    for number, kind in enumerate(types):
        hole = min(spare, dice.choice((0, 0, 0, 0, 1, 2)))
        spare -= hole
        at += hole
        tags[f"t{number:03d}"] = {"address": f"holding/{at}", "type": kind}
        at += WIDTH[kind]
    assert len(tags) == 111
    assert at <= 230
    return {"counter": {"tags": tags}}


def measure() -> list[Row]:
    with rig() as parts:
        plant, broker = parts.plant(1), parts.broker()
        gateway = parts.gateway(plant, broker, interval="200ms")
        time.sleep(5)
        gateway.stop()
        plain = sum(plant.requests().values()) / sum(plant.counts().values())
        other = parts.plant(1, registers=400)
        gateway = parts.gateway(other, broker, interval="200ms", name="mixed", start=False)
        gateway.write("profiles/counter.yaml", mixed())
        gateway.start()
        time.sleep(5)
        gateway.stop()
        many = sum(other.requests().values()) / sum(other.counts().values())
    return [
        at_most("Modbus requests per poll, 100 contiguous registers", plain, 1, ""),
        at_most("Modbus requests per poll, 111 mixed tags in 230 registers", many, 3, ""),
    ]


if __name__ == "__main__":
    main(measure)
