"""Memory of a wheel install with Modbus, journal and uplink, 10 devices x 100 registers at 1 Hz; and CPU of an idle gateway."""

import time
from pathlib import Path

from benchmarks.installed import installed
from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, cpu_seconds, rig


def measure() -> list[Row]:
    with rig(installed()) as parts:
        plant, broker = parts.plant(10), parts.broker()
        gateway = parts.gateway(plant, broker)
        time.sleep(max(SECONDS, 20))
        memory = gateway.memory()
        gateway.stop()
        bare = parts.bare_loop(plant, broker, interval_s=1.0)
        time.sleep(5)
        status = Path(f"/proc/{bare.pid}/status").read_text()
        rss = int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6
        bare.kill()
        idle = parts.gateway(parts.plant([]), broker, name="idle")
        time.sleep(3)
        cpu, begin = cpu_seconds(idle.pid), time.monotonic()
        time.sleep(SECONDS)
        share = 100 * (cpu_seconds(idle.pid) - cpu) / (time.monotonic() - begin)
    return [
        at_most("memory, RssAnon, 10 devices at 1 Hz", memory["RssAnon"], 35, "MB", "wheel install"),
        at_most("memory, RSS", memory["VmRSS"], 45, "MB"),
        Row("  the bare loop, RSS", f"{rss:.4g} MB"),
        at_most("CPU of an idle gateway", share, 1, "%"),
    ]


if __name__ == "__main__":
    main(measure)
