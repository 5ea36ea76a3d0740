"""CPU under 100,000 readings a second: 20 devices x 100 registers at 50 Hz, codec native, nothing lost."""

import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import cpu_per_million, readings, rig
from tests.support.eventually import wait_until


def measure() -> list[Row]:
    with rig() as parts:
        plant, broker = parts.plant(20), parts.broker()
        arrivals = parts.arrivals(broker)
        gateway = parts.gateway(plant, broker, interval="20ms", codec="native")
        ours, rate = cpu_per_million(gateway.pid, plant)
        stored = gateway.status()["journal"]["streams"]["telemetry"]["last"]
        wait_until(lambda: arrivals.numbers() >= stored, 120, every=1, why="everything stored arrives")
        gateway.stop()
        given = readings(plant)
        time.sleep(1)
        arrived = arrivals.numbers()
        parts.arrivals(broker, "bare/#")
        bare = parts.bare_loop(plant, broker, interval_s=0.02)
        theirs, bare_rate = cpu_per_million(bare.pid, plant)
    return [
        at_most("CPU s per million readings, 20 x 100 at 50 Hz, native", ours, 4.4, "s", f"{rate:.0f}/s"),
        Row("  the bare loop, same run", f"{theirs:.4g} s", note=f"{bare_rate:.0f}/s"),
        at_most("  ratio to the bare loop", ours / theirs, 1.0, "x"),
        at_most("  readings given and not delivered at the stop", given - arrived, 20 * 100, "", "one poll in flight"),
    ]


if __name__ == "__main__":
    main(measure)
