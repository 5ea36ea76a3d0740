"""Start: exec to the first reading at the broker, one channel, an existing store; median of 5."""

import statistics
import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import rig
from tests.support.eventually import wait_until


def measure() -> list[Row]:
    times, ready = [], []
    with rig() as parts:
        plant, broker = parts.plant(1), parts.broker()
        arrivals = parts.arrivals(broker, "fp/1/default/gw/up/telemetry")
        gateway = parts.gateway(plant, broker)
        time.sleep(3)
        gateway.stop()
        for _ in range(5):
            time.sleep(1)
            arrivals.clear()
            begin = time.time()
            gateway.start(wait=False)
            gateway.wait_ready()
            ready.append(time.time() - begin)
            wait_until(lambda: arrivals.messages, 30, every=0.005)
            times.append(arrivals.messages[0][0] - begin)
            gateway.stop()
    return [
        at_most("start: exec to the first reading at the broker", statistics.median(times), 0.6, "s"),
        Row("  exec to READY=1", f"{statistics.median(ready):.3f} s", note="polled each 20 ms"),
    ]


if __name__ == "__main__":
    main(measure)
