"""CPU as fast as the devices answer: 20 devices x 100 registers without a pause, codec native."""

from benchmarks.report import Row, at_most, main
from benchmarks.rig import cpu_per_million, rig


def measure() -> list[Row]:
    with rig() as parts:
        plant, broker = parts.plant(20), parts.broker()
        parts.arrivals(broker)
        gateway = parts.gateway(plant, broker, interval="1ms", codec="native")
        ours, rate = cpu_per_million(gateway.pid, plant)
        gateway.stop()
        bare = parts.bare_loop(plant, broker, interval_s=0.0)
        theirs, bare_rate = cpu_per_million(bare.pid, plant)
    return [
        at_most("CPU s per million readings, flat out, native", ours, 1.5, "s", f"{rate:.0f}/s"),
        Row("  the bare loop, same run", f"{theirs:.4g} s", note=f"{bare_rate:.0f}/s"),
    ]


if __name__ == "__main__":
    main(measure)
