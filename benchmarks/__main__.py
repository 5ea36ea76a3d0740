"""Every measurement in turn, one table. `python -m benchmarks NAME...` runs only these."""

from __future__ import annotations

import importlib
import sys
import time

from benchmarks.report import Row, heading, show

ALL = (
    "requests_per_poll",
    "rule_expressions",
    "rule_reaction",
    "rules_load",
    "rules_memory",
    "start",
    "latency",
    "cpu_1hz",
    "cpu_50hz",
    "cpu_flat_out",
    "memory",
    "all_drivers",
    "foreign_load",
    "wire_bytes",
    "flash_bytes",
    "drain",
    "live_again",
    "kills",
    "dead_units",
    "bus_time",
    "late_answers",
    "shadow_cost",
    "mqtt_devices",
    "opcua_items",
)


def main() -> int:
    names = sys.argv[1:] or list(ALL)
    print(heading(), flush=True)
    rows: list[Row] = []
    broken: list[str] = []
    begin = time.monotonic()
    for name in names:
        try:
            found = importlib.import_module(f"benchmarks.{name}").measure()
        except Exception as error:
            broken.append(name)
            print(f"{name}: could not be measured: {error!r}", flush=True)
            continue
        show(found)
        rows += found
    missed = [row.what.strip() for row in rows if row.met is False]
    print(f"{len(rows)} rows in {time.monotonic() - begin:.0f} s; missed: {'; '.join(missed) or 'none'}")
    return 1 if missed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
