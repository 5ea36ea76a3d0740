"""Drain of a backlog of a million readings while live data of 100 readings a second stays under 2 s late."""

import os
import statistics

from benchmarks.report import Row, at_least, at_most, main
from benchmarks.rig import rig
from tests.support import counting, wire
from tests.support.eventually import wait_until

BACKLOG = int(os.environ.get("BENCH_BACKLOG", "1000000"))


def measure() -> list[Row]:
    with rig() as parts:
        plant, broker = parts.plant(20), parts.broker()
        broker.stop()
        gateway = parts.gateway(plant, broker, interval="20ms", codec="native")
        wait_until(lambda: gateway.backlog() > BACKLOG, 120, every=1, why="a backlog has been made")
        gateway.stop()
        for line in range(20):
            interval = "1s" if line == 0 else "1h"
            gateway.write(f"channels/line{line:02d}.yaml", counting.channel(plant, line, interval=interval))
        gateway.start()
        gateway.ask("apply")
        waiting = gateway.backlog()
        broker.start()
        arrivals = parts.arrivals(broker, "fp/1/default/gw/up/telemetry")
        wait_until(lambda: gateway.backlog() < 1000, 300, every=0.5, why="the backlog is delivered")
        got = [(at, wire.header(body), body) for at, body, _ in arrivals.telemetry()]
    old = [(at, head.n) for at, head, _ in got if head.historical]
    late = [at - (body["t0"] + sum(body["dt"])) / 1000 for at, head, body in got if not head.historical]
    rate = sum(n for _, n in old) / max(old[-1][0] - old[0][0], 1e-9)
    return [
        at_least("drain of a backlog, native", rate, 200_000, "/s", f"{waiting} readings waited"),
        at_most("  live data meanwhile: worst lateness", max(late), 2, "s", f"median {statistics.median(late):.2f} s"),
    ]


if __name__ == "__main__":
    main(measure)
