"""Random kills of the desk over a real store: whatever was committed survives, nothing else does."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

from gateway.runtime.commandlog import CommandLog
from gateway.testing import ManualClock
from gateway.uplink.commanddesk import CommandDesk
from gateway.uplink.commandrow import Reply
from gateway.uplink.commands import CommandMessage
from gateway.uplink.ports import Caller
from tests.support.scale import scaled
from tests.unit.store.kit import opened
from tests.unit.uplink.memory_table import BOOT, nothing_shown

RIDS = [f"c{i}" for i in range(12)]
DEVICES = ("pump", "fan", None)


class Run:
    """One life of the gateway after the other, with a broker that gives again what was not confirmed."""

    def __init__(self, path, draw):
        self.path, self.draw = path, draw
        self.clock = ManualClock()
        self.effects = Counter()
        self.confirmed = set()
        self.seen = {}

    async def ops(self, op, device, args, caller):
        for _ in range(self.draw.randrange(4)):
            await asyncio.sleep(0)
        self.effects[caller.rid] += 1  # from here on a kill must not lead to a second one
        for _ in range(self.draw.randrange(4)):
            await asyncio.sleep(0.0005)
        return {"out": {"effect": self.effects[caller.rid]}}

    def hear(self, rid, result):
        assert self.seen.setdefault(rid, result) == result, "one final result per id"

    async def deliver(self, desk, rid, uplink):
        number = int(rid[1:])
        command = CommandMessage(1, rid, "read", DEVICES[number % 3], {"n": number})
        result = await desk.take(command, Caller("x", uplink=uplink, rid=rid), Reply(uplink))
        self.confirmed.add(rid)
        if result is not None:
            self.hear(rid, result)

    def publish(self, desk):
        """What the brokers get; some of it they acknowledge."""
        for uplink in ("a", "b"):
            for rid in list(desk.outbox.box(uplink).owed):
                self.hear(rid, desk.result(rid))
                if self.draw.random() < 0.5:
                    desk.told(rid, uplink)

    async def life(self, turns):
        store = opened(self.path, self.clock)
        desk = CommandDesk(CommandLog(store), self.ops, nothing_shown, self.clock, BOOT)
        desk.restore()
        serving = asyncio.ensure_future(desk.run())
        await asyncio.sleep(0)
        coming = [
            asyncio.ensure_future(self.deliver(desk, rid, self.draw.choice("ab")))
            for rid in RIDS
            if rid not in self.confirmed or self.draw.random() < 0.3
        ]
        for turn in range(turns):
            if turn % 5 == 0:
                await store.commit()
                self.publish(desk)
            await asyncio.sleep(0.0002)
        for task in (serving, *coming):
            task.cancel()
        await asyncio.gather(serving, *coming, return_exceptions=True)
        store.abandon()


async def test_random_kills_bring_no_second_effect_and_no_second_result(tmp_path, seed):
    draw = random.Random(seed)
    for number in range(scaled(6, 100)):
        run = Run(tmp_path / str(number), draw)
        for _ in range(6):
            await run.life(draw.randrange(1, 40))
        for _ in range(20):
            if set(run.seen) == set(RIDS):
                break
            await run.life(300)
        assert set(run.seen) == set(RIDS), "every command is answered"
        assert max(run.effects.values(), default=0) <= 1, run.effects
        for rid, result in run.seen.items():
            told = json.loads(result)
            assert told["state"] == "done" or told["text"] == "interrupted"
            assert told["state"] != "done" or run.effects[rid] == 1
