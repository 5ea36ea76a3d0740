"""Live again after a 60 s broker outage: ten gateways meet the same outage, so that one gives ten samples.

Measured from the moment the broker accepts connections to the first live reading of each gateway.
"""

import os
import statistics
import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import rig
from tests.support.eventually import wait_until

OUTAGE = float(os.environ.get("BENCH_OUTAGE_SECONDS", "60"))
GATEWAYS = 10


def measure() -> list[Row]:
    with rig() as parts:
        broker = parts.broker()
        arrivals = parts.arrivals(broker, "fp/1/default/+/up/telemetry", persistent=True)
        for number in range(GATEWAYS):
            plant = parts.plant(1, registers=10)
            parts.gateway(plant, broker, name=f"gateway{number}", gateway_id=f"gw{number}", registers=10)
        time.sleep(5)
        broker.stop()
        time.sleep(OUTAGE)
        arrivals.clear()
        broker.start()
        begin = time.time()
        found: dict[str, float] = {}

        def all_live() -> bool:
            for at, body, _ in arrivals.telemetry():
                if not body.get("historical") and body["batches"][-1]["ts"] > begin * 1000:
                    found.setdefault(body["gateway"], at - begin)
            return len(found) == GATEWAYS

        wait_until(all_live, 120, every=0.1, why="every gateway is live again")
    times = sorted(found.values())
    note = f"{GATEWAYS} gateways, {times[0]:.1f} to {times[-1]:.1f} s"
    return [at_most(f"live again after {OUTAGE:.0f} s without broker, median", statistics.median(times), 5, "s", note)]


if __name__ == "__main__":
    main(measure)
