"""Commands by id at their desk, over a real store and a clock that only moves when told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from gateway.errors import WriteRejected
from gateway.runtime.commandlog import CommandLog
from gateway.testing import ManualClock
from gateway.uplink.commanddesk import ACCEPTED_AFTER_S, MAX_OPEN, CommandDesk, DeskClosed
from gateway.uplink.commandrow import Reply
from gateway.uplink.commands import CommandMessage, parse_command
from gateway.uplink.ports import Caller
from gateway.uplink.rids import KNOWN_S, MAX_KNOWN, Rids
from gateway.uplink.turns import WAITING
from tests.support.eventually import eventually
from tests.unit.store.kit import opened
from tests.unit.uplink.memory_table import BOOT, MemoryTable, nothing_shown


class Plant:
    """What commands act on: each call is noted; a gate holds those of a device until it opens."""

    def __init__(self):
        self.done = []
        self.began = []
        self.callers = []
        self.gates = {}
        self.error = None

    async def __call__(self, op, device, args, caller):
        self.began.append((op, device))
        self.callers.append(caller)
        if device in self.gates:
            await self.gates[device].wait()
        if self.error is not None:
            raise self.error
        self.done.append((op, device, dict(args)))
        return {"out": {"count": len(self.done)}}

    def hold(self, *devices):
        for device in devices:
            self.gates[device] = asyncio.Event()


class Bench:
    """A desk over a store that can be killed and opened again."""

    def __init__(self, tmp_path, clock=None):
        self.path = tmp_path / "state"
        self.clock = clock or ManualClock()
        self.plant = Plant()
        self.look = nothing_shown
        self.boot = BOOT

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[CommandDesk]:
        """From start to kill: nothing that was not committed survives."""
        store = opened(self.path, self.clock)
        desk = CommandDesk(CommandLog(store), self.plant, self.look, self.clock, self.boot)
        desk.restore()
        committing = asyncio.ensure_future(self._commit(store))
        serving = asyncio.ensure_future(desk.run())
        await asyncio.sleep(0)
        try:
            yield desk
        finally:
            serving.cancel()
            committing.cancel()
            await asyncio.gather(serving, committing, return_exceptions=True)
            store.abandon()

    @staticmethod
    async def _commit(store):
        while True:  # the store's own schedule is on the manual clock
            await store.commit()
            await asyncio.sleep(0.001)


@pytest.fixture
async def bench(tmp_path):
    return Bench(tmp_path)


def command(rid="c1", op="write", device="pump", **more):
    args = more.pop("args", {"values": {"speed": 1}})
    return CommandMessage(1, rid, op, device, args, **more)


CLOUD = Caller("cloud", uplink="cloud")


async def ask(desk, *args, **more):
    return json.loads(await desk.ask(command(*args, **more), CLOUD))


async def test_the_same_id_five_times_is_done_once_and_answered_five_times_alike(bench):
    async with bench.running() as desk:
        answers = await asyncio.gather(*(desk.ask(command(), CLOUD) for _ in range(5)))
        later = await desk.ask(command(), CLOUD)
    assert len(bench.plant.done) == 1
    assert {*answers, later} == {answers[0]}
    assert json.loads(answers[0])["state"] == "done"


async def test_the_id_decides_even_when_the_request_is_another(bench):
    async with bench.running() as desk:
        first = await desk.ask(command(), CLOUD)
        other = await desk.ask(command(op="read", args={}), CLOUD)
    assert first == other
    assert len(bench.plant.done) == 1


async def test_after_a_kill_the_same_id_is_answered_from_disk_and_not_done_again(bench):
    async with bench.running() as desk:
        first = await desk.ask(command(), CLOUD)
    async with bench.running() as desk:
        assert await desk.ask(command(), CLOUD) == first
    assert len(bench.plant.done) == 1


async def test_a_command_is_on_disk_before_it_acts(bench, tmp_path):
    table = MemoryTable()
    seen = []

    async def look_at_disk(op, device, args, caller):
        seen.append(table.get("c1").state)
        return {}

    desk = CommandDesk(table, look_at_disk, nothing_shown, bench.clock, BOOT)
    serving = asyncio.ensure_future(desk.run())
    await desk.ask(command(), CLOUD)
    assert seen == ["queued"]
    assert [row.state for row in table.puts] == ["queued", "done"]
    assert table.get("c1").args == {}, "what was asked is not needed any more"
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_journal_that_takes_nothing_means_that_nothing_is_done(bench):
    table = MemoryTable()
    table.fail = [WriteRejected("no room", code=507)]
    desk = CommandDesk(table, bench.plant, nothing_shown, bench.clock, BOOT)
    serving = asyncio.ensure_future(desk.run())
    answer = json.loads(await desk.ask(command(), CLOUD))
    assert (answer["state"], answer["code"]) == ("failed", 500)
    assert "no room" in answer["text"]
    assert bench.plant.done == []
    again = json.loads(await desk.ask(command(), CLOUD))
    assert again["state"] == "done", "it was never known"
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_result_is_told_only_when_it_is_on_disk(bench):
    table = MemoryTable()
    desk = CommandDesk(table, bench.plant, nothing_shown, bench.clock, BOOT)
    serving = asyncio.ensure_future(desk.run())
    bench.plant.hold("pump")
    assert await desk.take(command(), CLOUD, Reply("cloud")) is None
    await bench.clock.settle()
    table.fail = [WriteRejected("no room", code=507)] * 2
    bench.plant.gates["pump"].set()
    await bench.clock.settle()
    assert desk.outbox.box("cloud").owed == {}
    await bench.clock.advance(3)
    assert list(desk.outbox.box("cloud").owed) == ["c1"]
    assert table.get("c1").state == "done"
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_one_slow_device_holds_up_nobody_else(bench):
    """FL-22: a device that does not answer; commands of the others and those without a device are done meanwhile."""
    bench.plant.hold("slow")
    async with bench.running() as desk:
        slow = [asyncio.ensure_future(ask(desk, f"s{i}", op="read", device="slow")) for i in range(40)]
        await eventually(lambda: ("read", "slow") in bench.plant.began)
        for i in range(5):
            assert (await ask(desk, f"o{i}", device=f"d{i}"))["code"] == 200
            assert (await ask(desk, f"n{i}", op="diagnostics", device=None))["code"] == 200
        assert bench.plant.began.count(("read", "slow")) == 1, "its own commands wait in order"
        bench.plant.gates["slow"].set()
        assert {answer["code"] for answer in await asyncio.gather(*slow)} == {200}


async def test_a_full_queue_refuses_the_next_and_remembers_that_too(bench):
    bench.plant.hold("slow")
    async with bench.running() as desk:
        asked = [asyncio.ensure_future(ask(desk, "first", op="read", device="slow"))]
        await eventually(lambda: bench.plant.began == [("read", "slow")])
        asked += [asyncio.ensure_future(ask(desk, f"s{i}", op="read", device="slow")) for i in range(WAITING)]
        await eventually(lambda: len(desk._open) == WAITING + 1)
        refused = await ask(desk, "more", op="read", device="slow")
        assert (refused["state"], refused["code"]) == ("rejected", 429)
        assert (await ask(desk, "other", device="pump"))["code"] == 200
        bench.plant.gates["slow"].set()
        await asyncio.gather(*asked)
        assert await ask(desk, "more", op="read", device="slow") == refused
    assert len(bench.plant.done) == WAITING + 2


async def test_there_is_a_bound_over_all_devices(bench):
    names = [f"d{i}" for i in range(MAX_OPEN)]
    bench.plant.hold(*names)
    async with bench.running() as desk:
        asked = [asyncio.ensure_future(ask(desk, f"c-{name}", device=name)) for name in names]
        await eventually(lambda: len(bench.plant.began) == MAX_OPEN)
        assert (await ask(desk, "more", device="another"))["code"] == 429
        for gate in bench.plant.gates.values():
            gate.set()
        await asyncio.gather(*asked)


async def test_writes_to_different_tags_go_side_by_side_and_to_the_same_tag_in_order(bench):
    bench.plant.hold("pump")
    async with bench.running() as desk:
        asked = [
            asyncio.ensure_future(ask(desk, f"c{i}", args={"values": {tag: i}}))
            for i, tag in enumerate(["a", "b", "a", "c"])
        ]
        await eventually(lambda: len(bench.plant.began) == 2)
        await asyncio.sleep(0.02)
        assert len(bench.plant.began) == 2, "the second write of `a` waits, and what came after it too"
        bench.plant.gates["pump"].set()
        await asyncio.gather(*asked)
    assert [args["values"] for _, _, args in bench.plant.done] == [{"a": 0}, {"b": 1}, {"a": 2}, {"c": 3}]


@pytest.mark.parametrize("end", [{"ttl": 1000}, {"exp": 1_800_000_001_000}, {"ttl": 50_000, "exp": 1_800_000_001_000}])
async def test_a_command_whose_time_is_over_when_its_turn_comes_never_acts(bench, end):
    """FL-20: late is never."""
    bench.plant.hold("slow")
    async with bench.running() as desk:
        first = asyncio.ensure_future(ask(desk, "first", op="read", device="slow"))
        await eventually(lambda: bench.plant.began)
        late = asyncio.ensure_future(ask(desk, "late", device="slow", **end))
        await eventually(lambda: "late" in desk._open and desk._open["late"].ready)
        bench.clock.move(2.0)
        bench.plant.gates["slow"].set()
        assert (await first)["code"] == 200
        answer = await late
    assert (answer["state"], answer["code"]) == ("expired", 408)
    assert bench.plant.done == [("read", "slow", {"values": {"speed": 1}})]


async def test_what_is_left_of_its_time_goes_with_the_command(bench):
    async with bench.running() as desk:
        await ask(desk, "a", ttl=7000)
        await ask(desk, "b")
    assert [caller.within_s for caller in bench.plant.callers] == [pytest.approx(7.0, abs=0.01), 60.0]


@pytest.mark.parametrize(
    ("end", "code"),
    [({"exp": 1_900_000_000_000}, 425), ({"exp": 1, "ttl": 5000}, 200), ({"ttl": 5000}, 200), ({}, 200)],
)
async def test_an_unsynchronised_clock_judges_the_ttl_and_never_the_exp(tmp_path, end, code):
    bench = Bench(tmp_path, ManualClock(synced=False))
    async with bench.running() as desk:
        assert (await ask(desk, **end))["code"] == code


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


async def test_work_that_takes_long_says_so_once_before_its_end(bench):
    bench.plant.hold("pump")
    async with bench.running() as desk:
        assert await desk.take(command(), CLOUD, Reply("cloud")) is None
        await eventually(lambda: bench.plant.began)
        box = desk.outbox.box("cloud")
        assert box.notes == {}
        bench.clock.move(ACCEPTED_AFTER_S + 0.1)
        note = json.loads(box.notes["c1"])
        assert (note["state"], note["code"], note["rid"]) == ("accepted", 202, "c1")
        bench.plant.gates["pump"].set()
        await eventually(lambda: box.owed)
        assert box.notes == {}, "nobody hears of it after the result"
        assert json.loads(desk.result("c1"))["state"] == "done"


async def test_an_error_is_a_result_with_its_code(bench):
    bench.plant.error = WriteRejected("too hot", code=422)
    async with bench.running() as desk:
        answer = await ask(desk)
    assert (answer["state"], answer["code"], answer["text"]) == ("rejected", 422, "too hot")


async def test_arguments_nested_too_deep_are_refused(bench):
    async with bench.running() as desk:
        assert (await ask(desk, "deep", args={"a": {"b": {"c": {"d": {"e": {}}}}}}))["code"] == 400
        assert (await ask(desk, "fine", args={"a": {"b": {"c": {"d": {}}}}}))["code"] == 200


async def test_nothing_begins_when_the_gateway_stops(bench):
    async with bench.running() as desk:
        await desk.close()
        with pytest.raises(DeskClosed):
            await desk.take(command(), CLOUD, Reply("cloud"))
    assert bench.plant.began == []


async def test_a_stop_waits_for_what_is_at_work_and_leaves_the_rest_for_interrupted(bench):
    bench.plant.hold("pump")
    async with bench.running() as desk:
        first = asyncio.ensure_future(ask(desk, "first", op="read"))
        second = asyncio.ensure_future(ask(desk, "second", op="read"))
        await eventually(lambda: bench.plant.began and "second" in desk._open and desk._open["second"].ready)
        closing = asyncio.ensure_future(desk.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        bench.plant.gates["pump"].set()
        await closing
        assert (await first)["code"] == 200
        second.cancel()
    async with bench.running() as desk:
        assert (await ask(desk, "second", op="read"))["text"] == "interrupted"


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


def test_what_is_no_command_is_none():
    for wrong in (b"", b"{}", b'{"v":2,"rid":"a","op":"x"}', b'{"v":1,"rid":"a b","op":"x"}', b"[1]", b"\xff"):
        assert parse_command(wrong) is None
    good = parse_command(b'{"v":1,"rid":"a","op":"x","later":1}')
    assert good is not None
    assert good.hash == parse_command(b'{"op":"x","v":1,"rid":"a"}').hash
