"""What a desk of commands knows after a kill, a restart and a thousand more: interrupted, owed or forgotten."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.testing import ManualClock
from gateway.uplink.commanddesk import CommandDesk
from gateway.uplink.commandrow import Reply
from gateway.uplink.rids import KNOWN_S, MAX_KNOWN, Rids
from tests.support.eventually import eventually
from tests.unit.uplink.command_bench import CLOUD, Bench, ask, command
from tests.unit.uplink.memory_table import BOOT, MemoryTable, nothing_shown


@pytest.fixture
async def bench(tmp_path):
    return Bench(tmp_path)


async def test_what_was_interrupted_is_not_done_again_and_says_what_the_device_shows(bench):
    bench.plant.hold("pump")
    asked = {"values": {"speed": 7, "reset": True}}
    async with bench.running() as desk:
        assert await desk.take(command(args=asked), CLOUD, Reply("cloud", "answers/me", b"\x01")) is None
        assert await desk.take(command("waits", op="read", args={"tags": ["speed"]}), CLOUD, Reply("cloud")) is None
        await eventually(lambda: bench.plant.began)
    looked = []

    async def look(device, tags):
        looked.append((device, tags))
        return {"speed": {"value": 7, "quality": "good"}}

    bench.look = look
    bench.plant.gates.clear()
    async with bench.running() as desk:
        box = desk.outbox.box("cloud")
        await eventually(lambda: set(box.owed) == {"c1", "waits"})
        assert box.owed["c1"] == (Reply("cloud", "answers/me", b"\x01"),), "whom to answer is on disk too"
        first = json.loads(desk.result("c1"))
        assert await desk.ask(command(args=asked), CLOUD) == desk.result("c1")
    assert (first["state"], first["code"], first["text"]) == ("failed", 500, "interrupted")
    assert first["items"] == {"speed": {"value": 7, "quality": "good"}}
    assert looked == [("pump", ["reset", "speed"])], "one look for all of a device"
    assert bench.plant.done == []
    looked.clear()
    async with bench.running() as desk:
        assert json.loads(desk.result("c1")) == first
        assert looked == [], "it has ended for good"


async def test_a_repeat_while_what_was_interrupted_is_looked_at_gets_the_one_result(bench):
    bench.plant.hold("pump")
    async with bench.running() as desk:
        assert await desk.take(command(), CLOUD, Reply("cloud")) is None
    gate = asyncio.Event()

    async def look(device, tags):
        await gate.wait()
        return {}

    bench.look = look
    async with bench.running() as desk:
        again = asyncio.ensure_future(desk.ask(command(), CLOUD))
        await asyncio.sleep(0.01)
        assert not again.done()
        gate.set()
        assert json.loads(await again)["text"] == "interrupted"
    assert bench.plant.done == []


async def test_results_that_no_broker_took_are_owed_after_a_restart_and_no_more_when_told(bench):
    async with bench.running() as desk:
        assert await desk.take(command(), CLOUD, Reply("cloud")) is None
        await eventually(lambda: desk.outbox.box("cloud").owed)
        result = desk.result("c1")
    async with bench.running() as desk:
        assert list(desk.outbox.box("cloud").owed) == ["c1"]
        assert desk.result("c1") == result
        desk.told("c1", "cloud")
        await desk.ask(command("c2"), CLOUD)  # its commit takes the other along
    async with bench.running() as desk:
        assert desk.outbox.box("cloud").owed == {}


async def test_a_desk_that_is_started_anew_ends_what_it_had_begun_and_finishes_what_was_done(bench):
    """The unit of the desk crashed, the process did not: nothing hangs, nothing is done again."""
    table = MemoryTable()
    desk = CommandDesk(table, bench.plant, nothing_shown, bench.clock, BOOT)
    serving = asyncio.ensure_future(desk.run())
    bench.plant.hold("pump", "other")
    running = asyncio.ensure_future(ask(desk, "running", op="read"))
    waiting = asyncio.ensure_future(ask(desk, "waiting", op="read"))
    done = asyncio.ensure_future(ask(desk, "done", op="read", device="other"))
    await eventually(lambda: len(bench.plant.began) == 2)
    table.fail = [OSError("disk gone")] * 100
    bench.plant.gates["other"].set()
    await eventually(lambda: bench.plant.done)
    storing = asyncio.ensure_future(ask(desk, "lost", op="read"))
    assert "disk gone" in (await storing)["text"]
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    table.fail = []
    serving = asyncio.ensure_future(desk.run())
    assert (await running)["text"] == (await waiting)["text"] == "interrupted"
    assert (await done)["state"] == "done"
    bench.plant.gates.clear()
    assert (await ask(desk, "new"))["state"] == "done"
    assert [op for op, device, _ in bench.plant.done] == ["read", "write"]
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def test_a_thousand_ends_are_known_or_a_day():
    rids = Rids()
    for i in range(MAX_KNOWN):
        assert rids.surplus(float(i)) == []
        rids.add(f"c{i}", float(i))
    assert rids.surplus(1000.0) == ["c0"]
    assert rids.surplus(KNOWN_S + 2.5) == ["c0", "c1", "c2"]
    rids.forget(["c0", "c1"])
    assert "c0" not in rids
    assert "c2" in rids


async def test_what_is_forgotten_goes_with_the_commit_that_makes_it_too_many(tmp_path):
    bench = Bench(tmp_path)
    async with bench.running() as desk:
        await asyncio.gather(*(desk.ask(command(f"c{i}", device=f"d{i % 50}"), CLOUD) for i in range(400)))
        bench.clock.move(KNOWN_S + 1)
        await ask(desk, "new")
        assert desk.result("c3") == b""
        assert desk.result("new") != b""


async def test_unfinished_commands_are_never_forgotten(bench):
    bench.plant.hold("slow")
    async with bench.running() as desk:
        slow = asyncio.ensure_future(ask(desk, "slow", device="slow"))
        await eventually(lambda: bench.plant.began)
        bench.clock.move(2 * KNOWN_S)
        await ask(desk, "new")
        again = asyncio.ensure_future(ask(desk, "slow", device="slow"))
        await asyncio.sleep(0.01)
        bench.plant.gates["slow"].set()
        assert await slow == await again
    assert bench.plant.done.count(("write", "slow", {"values": {"speed": 1}})) == 1


async def test_a_wall_clock_that_jumps_does_not_make_a_rid_unknown(bench):
    async with bench.running() as desk:
        first = await desk.ask(command(), CLOUD)
        bench.clock.step_wall(400 * 86400)
        await ask(desk, "another")
        assert await desk.ask(command(), CLOUD) == first
    async with bench.running() as desk:
        await ask(desk, "third")
        assert await desk.ask(command(), CLOUD) == first
    assert [device for _, device, _ in bench.plant.done] == ["pump"] * 3


async def test_after_a_reboot_the_boot_clock_says_nothing_and_a_day_is_a_day_of_the_wall(bench):
    async with bench.running() as desk:
        await ask(desk)
    bench.boot, bench.clock = "other", ManualClock(1_800_000_000_000 + 25 * 3_600_000, mono=5.0)
    async with bench.running() as desk:
        await ask(desk, "new")
        assert desk.result("c1") == b""


async def test_values_of_every_kind_survive_the_disk(bench):
    asked = {"values": {"big": 2**70, "text": "\N{SNOWMAN}", "none": None, "f": 1.5, "list": [1, {"a": True}]}}
    bench.plant.hold("pump")
    async with bench.running() as desk:
        assert await desk.take(command(args=asked), CLOUD, Reply("cloud", "a/b", b"\x00\xff")) is None
    async with bench.running() as desk:
        await eventually(lambda: desk.outbox.box("cloud").owed)
        assert desk.outbox.box("cloud").owed["c1"][0].correlation == b"\x00\xff"
