"""Start of a wheel install: exec to the first reading at the broker, one channel, an existing store; medians. Beside
it the same with 20 rules and 20 alarms, start by start in turn.
"""

import statistics
import time

from benchmarks.arrivals import Arrivals
from benchmarks.installed import installed
from benchmarks.report import Row, at_most, main
from benchmarks.rig import Rig, rig
from benchmarks.rulebook import write_rules
from tests.support.eventually import wait_until

STARTS = 11
RULES, ALARMS = 20, 20


def _first(arrivals: Arrivals, begin: float) -> list[float]:
    """When messages with a reading made since `begin` arrived: what the last run left behind does not count."""
    return [at for at, body, _ in arrivals.telemetry() if any(entry["ts"] >= begin * 1000 for entry in body["batches"])]


class _Side:
    """One gateway that is started again and again."""

    def __init__(self, parts: Rig, rules: int, alarms: int) -> None:
        plant, broker = parts.plant(1), parts.broker()
        self._arrivals = parts.arrivals(broker, "fp/1/default/gw/up/telemetry")
        self._gateway = parts.gateway(plant, broker, name=f"rules{rules}", start=False)
        if rules:
            write_rules(self._gateway, plant, rules, alarms)
        self.times: list[float] = []
        self.ready: list[float] = []
        self._gateway.start()
        wait_until(lambda: self._arrivals.messages, 30)
        self._gateway.stop()

    def start(self) -> None:
        time.sleep(1)
        self._arrivals.clear()
        begin = time.time()
        self._gateway.start(wait=False)
        self._gateway.wait_ready()
        self.ready.append(time.time() - begin)
        wait_until(lambda: _first(self._arrivals, begin), 30, every=0.005)
        self.times.append(_first(self._arrivals, begin)[0] - begin)
        self._gateway.stop()


def measure() -> list[Row]:
    with rig(installed()) as parts:
        plain, ruled = _Side(parts, 0, 0), _Side(parts, RULES, ALARMS)
        for _ in range(STARTS):
            plain.start()
            ruled.start()
    rows = []
    for side, what in ((plain, "exec to the first reading at the broker"), (ruled, "with rules")):
        spread = f"wheel install; {STARTS} starts, {min(side.times):.3f} to {max(side.times):.3f} s"
        rows.append(at_most(f"start: {what}", statistics.median(side.times), 0.6, "s", spread))
        rows.append(Row("  exec to READY=1", f"{statistics.median(side.ready):.3f} s", note="polled each 20 ms"))
    return rows


if __name__ == "__main__":
    main(measure)
