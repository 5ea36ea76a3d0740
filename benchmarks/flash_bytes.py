"""Bytes written to storage per reading at 1,000 readings a second (/proc/PID/task/*/io), at 1 s and 5 s commits."""

import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, readings, rig


def _per_reading(commit: str) -> tuple[float, float]:
    with rig() as parts:
        plant, broker = parts.plant(10), parts.broker()
        parts.arrivals(broker)
        gateway = parts.gateway(plant, broker, commit_interval=commit)
        time.sleep(6)
        before, count = gateway.written_bytes(), readings(plant)
        time.sleep(max(SECONDS, 30))
        after, made = gateway.written_bytes(), readings(plant) - count
        return (after[0] - before[0]) / made, (after[1] - before[1]) / made


def measure() -> list[Row]:
    rows = []
    for commit, budget in (("1s", 32), ("5s", 10)):
        files, blocks = _per_reading(commit)
        rows.append(at_most(f"bytes written per reading, commits each {commit}", files, budget, "B"))
        rows.append(Row("  as the file system rounds it up", f"{blocks:.4g} B"))
    return rows


if __name__ == "__main__":
    main(measure)
