"""Start of a wheel install: exec to the first reading at the broker, one channel, an existing store; medians."""

import statistics
import time

from benchmarks.arrivals import Arrivals
from benchmarks.installed import installed
from benchmarks.report import Row, at_most, main
from benchmarks.rig import rig
from tests.support.eventually import wait_until

STARTS = 11


def _first(arrivals: Arrivals, begin: float) -> list[float]:
    """When messages with a reading made since `begin` arrived: what the last run left behind does not count."""
    return [at for at, body, _ in arrivals.telemetry() if any(entry["ts"] >= begin * 1000 for entry in body["batches"])]


def measure() -> list[Row]:
    times, ready = [], []
    with rig(installed()) as parts:
        plant, broker = parts.plant(1), parts.broker()
        arrivals = parts.arrivals(broker, "fp/1/default/gw/up/telemetry")
        gateway = parts.gateway(plant, broker)
        wait_until(lambda: arrivals.messages, 30)
        gateway.stop()
        for _ in range(STARTS):
            time.sleep(1)
            arrivals.clear()
            begin = time.time()
            gateway.start(wait=False)
            gateway.wait_ready()
            ready.append(time.time() - begin)
            wait_until(lambda since=begin: _first(arrivals, since), 30, every=0.005)
            times.append(_first(arrivals, begin)[0] - begin)
            gateway.stop()
    spread = f"wheel install; {STARTS} starts, {min(times):.3f} to {max(times):.3f} s"
    return [
        at_most("start: exec to the first reading at the broker", statistics.median(times), 0.6, "s", spread),
        Row("  exec to READY=1", f"{statistics.median(ready):.3f} s", note="polled each 20 ms"),
    ]


if __name__ == "__main__":
    main(measure)
