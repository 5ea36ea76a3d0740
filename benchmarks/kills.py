"""Kill matrix, short: SIGKILL at seeded moments, and what was lost beyond the commit window. `make soak` does 200."""

import os
import random
import time

from benchmarks.report import Row, at_most, main
from benchmarks.rig import rig
from tests.support import counting
from tests.support.counting import Losses
from tests.support.eventually import wait_until
from tests.support.sink import Sink

KILLS = int(os.environ.get("BENCH_KILLS", "10"))


def measure() -> list[Row]:
    seed = int(os.environ.get("FIELDPOST_SEED") or random.SystemRandom().randrange(1 << 32))
    dice, losses = random.Random(seed), Losses()
    with rig() as parts:
        plant, broker = parts.plant(10), parts.broker()
        sink = Sink(broker.port).start()
        gateway = parts.gateway(plant, broker, interval="250ms")
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.5, 3))
            gateway.kill()
            losses.killed(plant.counts(), interval_s=0.25)
            gateway.start()
        counts = plant.counts()
        wait_until(lambda: not counting.problems(sink.snapshot(), counts, losses), 60, every=0.5)
        gateway.stop()
        ledger = sink.snapshot()
        sink.stop()
    lost = sum(
        len([count for count in range(1, last) if count not in ledger.counts()[counting.device(unit)]])
        for unit, last in counts.items()
    )
    note = f"{ledger.duplicates} readings twice, all identical; {lost} polls died inside the window"
    return [
        at_most(
            f"{KILLS} kills: readings lost beyond the commit window",
            len(ledger.conflicts),
            0,
            "",
            f"seed {seed}; {note}",
        )
    ]


if __name__ == "__main__":
    main(measure)
