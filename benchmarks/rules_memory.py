"""Memory of a wheel install with 20 rules and 20 alarms, 10 devices x 100 registers at 1 Hz, beside the same without."""

import time

from benchmarks.installed import installed
from benchmarks.report import Row, at_most, main
from benchmarks.rig import SECONDS, Rig, rig
from benchmarks.rulebook import write_rules

RULES, ALARMS = 20, 20


def _memory(parts: Rig, rules: int, alarms: int) -> dict[str, float]:
    plant, broker = parts.plant(10), parts.broker()
    gateway = parts.gateway(plant, broker, name=f"rules{rules}", start=False)
    if rules:
        write_rules(gateway, plant, rules, alarms)
    gateway.start()
    time.sleep(max(SECONDS, 20))
    memory = gateway.memory()
    gateway.stop()
    plant.close()
    broker.stop()
    return memory


def measure() -> list[Row]:
    with rig(installed()) as parts:
        without = _memory(parts, 0, 0)
        with_ = _memory(parts, RULES, ALARMS)
    more = with_["RssAnon"] - without["RssAnon"]
    return [
        Row("memory, RssAnon, 10 devices at 1 Hz, no rules", f"{without['RssAnon']:.4g} MB"),
        at_most(f"  with {RULES} rules and {ALARMS} alarms", with_["RssAnon"], 35, "MB", f"{more:.2g} MB more"),
        Row("  RSS without and with", f"{without['VmRSS']:.4g}, {with_['VmRSS']:.4g} MB"),
    ]


if __name__ == "__main__":
    main(measure)
