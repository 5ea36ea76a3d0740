"""Random power cuts of desk and worker over a real store: each job has its effect once, and one end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError
from gateway.jobs.work import Ended, JobState, Running
from tests.support.scale import scaled
from tests.unit.jobs.bench import Bench, Plant

IDS = [f"j{number}" for number in range(6)]
FINAL = {"succeeded", "cancelled", "rejected"}


class Site:
    """What outlives a power cut: the disk, the plant, and brokers that give again what was not confirmed. Two uplinks;
    each has its jobs stand on `job/next` one after the other, and goes on when it has heard the end.
    """

    def __init__(self, path: Path, draw: random.Random) -> None:
        self.path, self.draw = path, draw
        self.plant = Plant()
        self.plant.acts = dict.fromkeys(IDS, self.act)
        self.effects: Counter[str] = Counter()
        self.ends: dict[str, dict[str, Any]] = {}
        self.waiting = {"a": IDS[0::2], "b": IDS[1::2]}

    async def act(self, running: Running) -> Ended:
        """Sets something, once: it has noted it before, or finds it set."""
        id_ = running.job.id
        await running.step("validate", percent=self.draw.randrange(100))
        if not running.kept.get("set"):
            await running.step("apply", keep={"set": True})
            await running.commit()
        await asyncio.sleep(0)
        if not self.effects[id_]:
            self.effects[id_] += 1
        return Ended(JobState.SUCCEEDED, detail={"resumed": running.resumed})

    async def life(self, turns: int) -> None:
        """From a start to a power cut."""
        async with Bench(self.path, plant=self.plant) as bench:
            taking: list[asyncio.Task[None]] = []
            for uplink in self.waiting:
                bench.desk.reconnected(uplink)
            stands: dict[str, str] = {}
            for _ in range(turns):
                for uplink, ids in self.waiting.items():
                    if ids and stands.get(uplink) != ids[0]:
                        stands[uplink] = ids[0]
                        taking.append(asyncio.ensure_future(self.deliver(bench, uplink, ids[0])))
                await asyncio.sleep(0.0005)
                self.hear(bench)
                if len(self.ends) == len(IDS):
                    break
            for task in taking:
                task.cancel()
            await asyncio.gather(*taking, return_exceptions=True)

    async def deliver(self, bench: Bench, uplink: str, id_: str) -> None:
        try:
            await bench.put(id_, uplink=uplink, doc={"set": id_})
        except GatewayError:
            return  # not confirmed: it is given again

    def hear(self, bench: Bench) -> None:
        for uplink, ids in self.waiting.items():
            for told in bench.told[uplink]:
                if told["state"] in FINAL:
                    known = self.ends.setdefault(told["id"], told)
                    assert known == told, "one end per job, the same bytes"
            bench.told[uplink].clear()
            while ids and ids[0] in self.ends:
                ids.pop(0)


async def test_power_cuts_bring_no_second_effect_no_second_end_and_no_lost_job(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(scaled(1, 100)):
        site = Site(tmp_path / str(number), draw)
        for _ in range(5):
            await site.life(draw.randrange(1, 40))
        for _ in range(20):
            if len(site.ends) == len(IDS):
                break
            await site.life(200)
        assert set(site.ends) == set(IDS)
        assert {told["state"] for told in site.ends.values()} == {"succeeded"}
        assert site.effects == dict.fromkeys(IDS, 1)
        async with Bench(site.path) as bench:
            entries = [one for one in await bench.entries("job") if one["state"] != "in_progress"]
        assert Counter(one["job"] for one in entries) == dict.fromkeys(IDS, 1), "each job ends once in the journal"
