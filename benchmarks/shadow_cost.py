"""What shadows cost: 10 devices x 100 tags at 10 Hz, each tag in the reported document, beside the same without any.

Two gateways on plants of their own, one after the other and again, so that a slow moment meets both.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, Rig, cpu_per_million, rig
from tests.support import counting
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.plant import Plant
from tests.support.shadow_cloud import ShadowCloud as Cloud

ROUNDS = 3
_SHADOW_S = 130.0
"""Long enough for two reported documents of each device: they go out at most once a minute."""


def measure() -> list[Row]:
    with rig() as parts:
        with_, without = [], []
        for number in range(ROUNDS):
            for found, access in ((without, "r"), (with_, "rw")):
                plant, broker, gateway = _scene(parts, f"{access}{number}", access)
                found.append(cpu_per_million(gateway.pid, plant, SECONDS / 2)[0])
                gateway.stop()
                plant.close()
                broker.stop()
        ratio = sorted(one / other for one, other in zip(with_, without, strict=True))[ROUNDS // 2]
        share, rate = _bytes(parts)
    return [
        Row("CPU s per million, 10 x 100 at 10 Hz, without shadows", f"{min(without):.3g} s"),
        Row("  with all tags in the reported documents", f"{min(with_):.3g} s"),
        at_most("  ratio, median of the pairs", ratio, 1.2, "x"),
        at_most("  shadow bytes per telemetry byte", share, 0.01, "", f"json, {rate:.0f} telemetry B/s"),
    ]


def _scene(parts: Rig, name: str, access: str) -> tuple[Plant, Broker, Gateway]:
    plant, broker = parts.plant(10), parts.broker()
    gateway = parts.gateway(plant, broker, interval="100ms", name=name, start=False)
    profile: dict[str, Any] = counting.profile()
    for tag in profile["counter"]["tags"].values():
        tag["access"] = access
    gateway.write("profiles/counter.yaml", profile)
    gateway.start()
    return plant, broker, gateway


def _bytes(parts: Rig) -> tuple[float, float]:
    plant, broker, gateway = _scene(parts, "bytes", "rw")
    cloud = Cloud(broker.port)
    time.sleep(_SHADOW_S)
    found = dict(cloud.bytes)
    assert len(cloud.published) >= 2 * len(plant.lines), "two reported documents of each device"
    cloud.close()
    gateway.stop()
    return found["shadow"] / found["telemetry"], found["telemetry"] / _SHADOW_S


if __name__ == "__main__":
    main(measure)
