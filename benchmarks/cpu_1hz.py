"""CPU of the usual load: 10 devices x 100 registers at 1 Hz, json, journal with fsync, beside the bare loop."""

from benchmarks.report import Row, at_most, main
from benchmarks.rig import cpu_per_million, rig


def measure() -> list[Row]:
    with rig() as parts:
        plant, broker = parts.plant(10), parts.broker()
        parts.arrivals(broker)
        gateway = parts.gateway(plant, broker)
        ours, rate = cpu_per_million(gateway.pid, plant)
        gateway.stop()
        bare = parts.bare_loop(plant, broker, interval_s=1.0)
        theirs, _ = cpu_per_million(bare.pid, plant)
    return [
        at_most("CPU s per million readings, 10 x 100 at 1 Hz", ours, 10, "s", f"{rate:.0f}/s"),
        Row("  the bare loop, same run", f"{theirs:.4g} s"),
        at_most("  ratio to the bare loop", ours / theirs, 1.4, "x"),
    ]


if __name__ == "__main__":
    main(measure)
