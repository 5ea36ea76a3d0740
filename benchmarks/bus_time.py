"""A serial line with 30 meters: the cycle that `fieldpost reads` predicts beside the one that the meters see.

9600 baud, 20 tags in each meter, 25 ms of thought before an answer. The first figure is what the plan says before
anything was measured; then the devices' response times are known. The meters' own log has the truth: from the first
request of a cycle to the end of its last answer. `BENCH_CYCLES` sets how many are looked at.
"""

import itertools
import os
import statistics
import time
from pathlib import Path

from benchmarks.report import Row, at_most, main
from benchmarks.rig import rig
from tests.support.gateway import Gateway
from tests.support.simulated import Simulated

CYCLES = int(os.environ.get("BENCH_CYCLES", "6"))
METERS, TAGS, LINE, THOUGHT_MS = 30, 20, "9600-8N1", 25
INTERVAL_S, TOO_SHORT_S = 6, 2


def _profile() -> dict[str, object]:
    tags = {f"t{n:02}": {"address": f"holding/{2 * n}", "type": "float32"} for n in range(TAGS)}
    return {"meter": {"tags": tags}}


def _channel(place: str, interval_s: int) -> str:
    key, _, value = place.partition(": ")
    return (
        f"driver: modbus\n{key}: {value}\ntimeout: 1s\ninterval: {interval_s}s\n"
        f"devices:\n  m{{01..{METERS}}}: {{unit_id: '{{n}}', profile: meter}}\n"
    )


def _cycles(device: Simulated) -> list[float]:
    """Seconds of each cycle as the meters saw it: until one more than the last request's distance to its forerunner."""
    seen = device.say("log 1000")["requests"].values()
    times = sorted(row["at"] for rows in seen for row in rows)
    starts = [0, *(i for i in range(1, len(times)) if times[i] - times[i - 1] > 0.4), len(times)]
    whole = [times[a:b] for a, b in itertools.pairwise(starts) if b - a == METERS]
    return [(each[-1] - each[0]) * METERS / (METERS - 1) for each in whole]


def measure() -> list[Row]:
    with rig() as parts:
        gateway = Gateway(parts.processes, parts.directory / "gateway", env={"FIELDPOST_LOG": "WARNING"})
        gateway.write_main(uplinks={})
        gateway.write("profiles/meter.yaml", _profile())
        device = _meters(parts.processes, parts.directory, gateway.config / "profiles" / "meter.yaml")
        gateway.write("channels/line.yaml", _channel(device.place, TOO_SHORT_S))
        refused = gateway.cli("check")
        gateway.write("channels/line.yaml", _channel(device.place, INTERVAL_S))
        gateway.start()
        first = gateway.ask("reads")["channels"]["line"]["predicted_ms"] / 1000
        time.sleep(INTERVAL_S * CYCLES)
        bus = gateway.ask("reads")["channels"]["line"]
        measured = statistics.median(_cycles(device))
        gateway.stop()
        gateway.close()
    predicted = bus["predicted_ms"] / 1000
    off = abs(predicted - measured) / measured * 100
    note = f"predicted {predicted:.3f} s, the meters saw {measured:.3f} s; from the line's settings alone {first:.3f} s"
    reason = next((line.strip() for line in refused.out.splitlines() if "busy" in line), refused.out[-200:])
    return [
        at_most(f"{METERS} meters at 9600 baud: prediction off by", off, 10.0, "%", note),
        Row(f"an interval of {TOO_SHORT_S} s there", "refused" if refused.code else "taken", "refused",
            refused.code != 0, reason),
    ]  # fmt: skip


def _meters(processes: object, directory: Path, profile: Path) -> Simulated:
    return Simulated(
        processes,  # type: ignore[arg-type]
        directory,
        str(profile),
        *("--pty", "--line", LINE, "--unit", f"1-{METERS}", "--response", f"{THOUGHT_MS}ms"),
    )


if __name__ == "__main__":
    main(measure)
