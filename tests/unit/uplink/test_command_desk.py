"""Commands by id at their desk, over a real store and a clock that only moves when told."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.errors import WriteRejected
from gateway.testing import ManualClock
from gateway.uplink.commanddesk import ACCEPTED_AFTER_S, MAX_OPEN, CommandDesk, DeskClosed
from gateway.uplink.commandrow import Reply
from gateway.uplink.commands import parse_command
from gateway.uplink.turns import WAITING
from tests.support.eventually import eventually
from tests.unit.uplink.command_bench import CLOUD, Bench, ask, command
from tests.unit.uplink.memory_table import BOOT, MemoryTable, nothing_shown


@pytest.fixture
async def bench(tmp_path):
    return Bench(tmp_path)


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


def test_what_is_no_command_is_none():
    for wrong in (b"", b"{}", b'{"v":2,"rid":"a","op":"x"}', b'{"v":1,"rid":"a b","op":"x"}', b"[1]", b"\xff"):
        assert parse_command(wrong) is None
    good = parse_command(b'{"v":1,"rid":"a","op":"x","later":1}')
    assert good is not None
    assert good.hash == parse_command(b'{"op":"x","v":1,"rid":"a"}').hash
