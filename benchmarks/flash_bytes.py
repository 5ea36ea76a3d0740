"""Bytes written to storage per reading at 1,000 readings a second (/proc/PID/io), at 1 s and 5 s commits."""

import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, readings, rig


def _per_reading(commit: str) -> float:
    with rig() as parts:
        plant, broker = parts.plant(10), parts.broker()
        parts.arrivals(broker)
        gateway = parts.gateway(plant, broker, commit_interval=commit)
        time.sleep(6)
        written, count = gateway.written_bytes(), readings(plant)
        time.sleep(max(SECONDS, 30))
        return (gateway.written_bytes() - written) / (readings(plant) - count)


def measure() -> list[Row]:
    return [
        at_most("bytes written per reading, commits each 1 s", _per_reading("1s"), 32, "B"),
        at_most("bytes written per reading, commits each 5 s", _per_reading("5s"), 10, "B"),
    ]


if __name__ == "__main__":
    main(measure)
