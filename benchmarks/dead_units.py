"""2 dead of 20 units behind one connection, timeout 1 s, 1 Hz, counted from the first failure."""

import os
import time

from benchmarks.report import Row, at_least, main
from benchmarks.rig import rig

LENGTH = float(os.environ.get("BENCH_DEAD_SECONDS", "300"))


def measure() -> list[Row]:
    with rig() as parts:
        plant, broker = parts.plant([list(range(1, 21))]), parts.broker()
        parts.gateway(plant, broker, timeout="1s")
        time.sleep(5)
        for unit in (4, 17):
            plant.fault(0, "silent", unit)
        before, begin = plant.counts(), time.monotonic()
        time.sleep(LENGTH)
        after, lasted = plant.counts(), time.monotonic() - begin
        rates = [(after[0, unit] - before[0, unit]) / lasted for unit in range(1, 21) if unit not in (4, 17)]
    return [
        at_least("2 dead of 20: rate of the worst healthy unit", min(rates), 0.95, "Hz", f"{lasted:.0f} s"),
        Row("  mean of the healthy units", f"{sum(rates) / len(rates):.3f} Hz"),
    ]


if __name__ == "__main__":
    main(measure)
