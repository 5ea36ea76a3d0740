"""Poll to broker while nothing waits: from the device's answer (its time stamp) to the arrival at the sink."""

import statistics
import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, rig


def _delays(commit: str) -> list[float]:
    with rig() as parts:
        plant, broker = parts.plant(10), parts.broker()
        arrivals = parts.arrivals(broker, "fp/1/default/gw/up/telemetry")
        gateway = parts.gateway(plant, broker, commit_interval=commit)
        time.sleep(5)
        arrivals.clear()
        time.sleep(SECONDS)
        gateway.stop()
        return [
            at * 1000 - entry["ts"]
            for at, body, _ in arrivals.telemetry()
            if not body.get("historical")
            for entry in body["batches"]
        ]


def measure() -> list[Row]:
    rows = []
    for commit, limit in (("1s", 1020.0), ("200ms", 220.0)):
        delays = _delays(commit)
        p50, p99 = statistics.median(delays), statistics.quantiles(delays, n=100)[98]
        rows.append(at_most(f"poll to broker p50, commits each {commit}", p50, limit, "ms", f"p99 {p99:.0f} ms"))
    return rows


if __name__ == "__main__":
    main(measure)
