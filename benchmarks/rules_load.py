"""1000 rules over 1000 tags at 10 Hz: CPU per million readings beside the same load without rules, and how late the
event loop is.

10 devices x 100 registers each 100 ms, every reading another value; rules of three terms that name one to three tags.
Two gateways on plants of their own, one after the other and again, so that a slow moment meets both.
"""

from __future__ import annotations

import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, Rig, cpu_per_million, rig
from benchmarks.rulebook import write_rules

ROUNDS = 3
RULES = 1000
_LAG_S = 65.0
"""The gateway keeps the lags of a minute."""


class _Side:
    """One side of the comparison."""

    def __init__(self, rules: int) -> None:
        self.rules = rules
        self.cpu: list[float] = []
        self.rate: list[float] = []
        self.lag: dict[str, float] = {}

    def measure(self, parts: Rig, number: int, *, lag: bool) -> None:
        plant, broker = parts.plant(10), parts.broker()
        gateway = parts.gateway(plant, broker, interval="100ms", name=f"rules{self.rules}-{number}", start=False)
        if self.rules:
            write_rules(gateway, plant, self.rules)
        gateway.start()
        cpu, rate = cpu_per_million(gateway.pid, plant, SECONDS / 2)
        self.cpu.append(cpu)
        self.rate.append(rate)
        if lag:
            time.sleep(_LAG_S)
            self.lag = gateway.status()["loop_lag_ms"]
        assert not (found := [row for row in gateway.issues() if row["id"].startswith("rule")]), found
        gateway.stop()
        plant.close()
        broker.stop()


def measure() -> list[Row]:
    without, with_ = _Side(0), _Side(RULES)
    with rig() as parts:
        for number in range(ROUNDS):
            for side in (without, with_):
                side.measure(parts, number, lag=number == ROUNDS - 1)
    ratios = sorted(one / other for one, other in zip(with_.cpu, without.cpu, strict=True))
    share = min(with_.cpu) * min(with_.rate) / 1e6
    return [
        Row("CPU s per million, 1000 tags at 10 Hz, no rules", f"{min(without.cpu):.3g} s"),
        Row(f"  with {RULES} rules over them", f"{min(with_.cpu):.3g} s", note=f"{100 * share:.0f} % of one core"),
        Row(
            "  ratio, median of the pairs", f"{ratios[ROUNDS // 2]:.3g} x", note=f"{ratios[0]:.3g} to {ratios[-1]:.3g}"
        ),
        Row("  readings per second, without and with", f"{min(without.rate):.0f}, {min(with_.rate):.0f}"),
        at_most(
            "loop lag p99, with the rules", with_.lag["p99"], 20, "ms", f"max since the start {with_.lag['max']} ms"
        ),
        Row("  without", f"{without.lag['p99']:.4g} ms", note=f"max {without.lag['max']} ms"),
    ]


if __name__ == "__main__":
    main(measure)
