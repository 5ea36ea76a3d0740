"""The Modbus driver under the kernel's own poller, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from drivers.modbus import SPEC
from gateway.clock import SystemClock
from gateway.context import ChannelRunner
from gateway.health import Health
from gateway.model import Batch, Quality, Report, Schedule, Verify, WriteState
from gateway.model import Write as WriteJob
from gateway.testing import DictMemory
from tests.drivers.modbus.fault_server import FaultServer
from tests.drivers.modbus.kit import channel_of, device_of, tag_spec
from tests.support.eventually import eventually


class Line:
    """A channel at work and all that it published."""

    def __init__(self, server: FaultServer, *specs, every_s: float = 0.02, **options: Any) -> None:
        device = device_of(list(specs), "dev")
        spec = replace(device.spec, schedule=Schedule(every_s))
        self.device = replace(device, spec=spec)
        self.clock = SystemClock()
        self.health = Health(self.clock)
        self.memory = DictMemory()
        self.batches: list[Batch] = []
        self.runner = ChannelRunner(
            replace(channel_of(self.device, port=server.port, timeout_s=0.3), **options),
            (self.device,),
            SPEC,
            publish=lambda batch, _durable: self.batches.append(batch),
            clock=self.clock,
            health=self.health,
            memory=self.memory,
            emit=lambda _event: None,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Line]:
        task = asyncio.create_task(self.runner.run())
        try:
            yield self
        finally:
            task.cancel()
            _, left = await asyncio.wait({task}, timeout=5)
            assert not left, "the channel did not stop"

    @property
    def learned(self) -> list[dict[str, Any]]:
        """What is known of the device."""
        return self.runner.reads().get("dev", {}).get("learned", [])

    def seen(self, path: str) -> list[tuple[object, int]]:
        """(value, quality) of a tag in the order of publishing."""
        return [
            (value, code)
            for batch in self.batches
            for tag, value, code in zip(batch.tags, batch.values, batch.quality or [0] * len(batch.values), strict=True)
            if tag.path == path
        ]

    async def write(self, path: str, value: Any):
        tag = self.device.tag(path)
        assert tag is not None
        return await self.runner.write(WriteJob(tag, value, self.clock.mono() + 2.0))


async def test_a_channel_polled_flat_out_stops_when_it_is_told(faulty):
    for _ in range(20):
        async with Line(faulty, tag_spec("x", "holding/5"), every_s=0.0001).running() as line:
            await eventually(lambda line=line: len(line.batches) > 3)


async def test_fl_33_one_refused_register_costs_only_its_own_tag(faulty):
    faulty.forbidden = {7}
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(20))).running() as line:
        await eventually(lambda: len(line.seen("x19")) > 3 and line.seen("x7"))
        assert line.seen("x19")[-1] == (1019, 0)
        assert all(value is None and code >= 128 for value, code in line.seen("x7"))
        await eventually(lambda: line.learned)
        assert any("holding/7" in row["what"] for row in line.learned)


async def test_a_write_is_verified_by_what_the_device_says(faulty):
    specs = [tag_spec("speed", "holding/1", access="rw", scale=0.1), tag_spec("run", "coil/0", "bool", access="rw")]
    async with Line(faulty, *specs).running() as line:
        await eventually(lambda: line.batches)
        result = await line.write("speed", 21.5)
        assert (result.state, result.code, result.value, result.verified) == (WriteState.OK, 200, 21.5, True)
        assert faulty.registers[1, 1] == 215
        assert (await line.write("run", True)).state is WriteState.OK
        assert (await line.write("speed", 99999)).code == 422


@pytest.mark.parametrize(
    ("exponent", "wanted", "held", "state"),
    [(-2, 5.0, 450, WriteState.FAILED), (-2, 5.004, 500, WriteState.OK), (2, 149, 1, WriteState.OK)],
)
async def test_the_read_back_of_a_value_with_a_scale_factor_tolerates_one_step_of_that_factor(
    faulty, exponent, wanted, held, state
):
    faulty.registers.update({(1, 1): exponent & 0xFFFF, (1, 2): held})
    specs = [
        replace(tag_spec("v", "holding/0", access="rw", scale_from="sf"), verify=Verify(tag="shown")),
        tag_spec("sf", "holding/1", "int16"),
        tag_spec("shown", "holding/2", scale_from="sf"),
    ]
    async with Line(faulty, *specs, timeout_s=2.0).running() as line:  # a busy machine must not look like silence
        await eventually(lambda: line.batches)
        result = await line.write("v", wanted)
    assert (result.state, result.value) == (state, held * 10**exponent)


async def test_a_value_whose_scale_factor_the_device_refuses_is_not_written(faulty):
    faulty.forbidden = {40}
    specs = [tag_spec("v", "holding/0", access="rw", scale_from="sf"), tag_spec("sf", "holding/40", "int16")]
    async with Line(faulty, *specs, tag_spec("x", "holding/3")).running() as line:
        await eventually(lambda: line.learned and line.seen("x"))
        result = await line.write("v", 5.0)
    assert (result.state, result.code) == (WriteState.REJECTED, 422)
    assert "sf" in result.text
    assert {function for _, function, _, _ in faulty.requests} == {3}


@pytest.mark.parametrize(
    ("kind", "value"), [("string", "Pump 7  "), ("string", ""), ("string", "Größe"), ("bytes", b"\0\1\2\0\0\0\0\0\x20")]
)
async def test_a_text_that_was_written_is_verified_although_its_filling_is_not_read(faulty, kind, value):
    async with Line(faulty, tag_spec("t", "holding/0", kind, length=9, access="rw")).running() as line:
        await eventually(lambda: line.batches)
        result = await line.write("t", value)
    assert (result.state, result.verified, result.text) == (WriteState.OK, True, "")


async def test_a_dropped_link_makes_tags_bad_once_and_comes_back(faulty):
    async with Line(faulty, tag_spec("x", "holding/5")).running() as line:
        await eventually(lambda: line.seen("x"))
        faulty.drop()
        await eventually(lambda: faulty.connections == 2)
        count = len(line.batches)
        await eventually(lambda: len(line.batches) > count + 3)
    assert line.seen("x")[-1] == (1005, 0)
    assert len([code for _, code in line.seen("x") if code]) <= 1


async def test_an_unchanged_tag_that_reports_on_change_is_published_once(faulty):
    specs = [tag_spec("x", "holding/5", report=Report(on_change=True)), tag_spec("y", "holding/6")]
    async with Line(faulty, *specs).running() as line:
        await eventually(lambda: len(line.seen("y")) > 10)
        assert line.seen("x") == [(1005, 0)]
        faulty.registers[1, 5] = 7
        await eventually(lambda: line.seen("x")[-1] == (7, 0))
    assert line.seen("x") == [(1005, 0), (1005, 0), (7, 0)]


async def test_a_read_on_demand_blames_only_the_refused_register(faulty):
    faulty.forbidden = {7}
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(20)), every_s=60.0).running() as line:
        await eventually(lambda: line.seen("x19") and line.seen("x7"))
        rows = await line.runner.read(line.device.tags)
        assert {tag.path: (value, code) for tag, value, code, _ in rows if code} == {"x7": (None, Quality.BAD_CONFIG)}
        assert [value for tag, value, _, _ in rows if tag.path != "x7"] == [1000 + i for i in range(20) if i != 7]


def longest(faulty, unit=1):
    return max(count for of, function, _, count in faulty.requests if of == unit and function in {3, 4})


@pytest.mark.parametrize("most", [16, 32, 64])
async def test_fl_26_the_largest_block_that_a_device_answers_is_found_exactly(faulty, most):
    faulty.max_registers = most
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(120))).running() as line:
        await eventually(lambda: any("registers a request" in row["what"] for row in line.learned))
        assert [row["what"] for row in line.learned] == [f"at most {most} registers a request"]
        faulty.requests.clear()
        await eventually(lambda: len(faulty.requests) > 30)
        assert longest(faulty) == most
        assert line.seen("x119")[-1] == (1119, 0)


async def test_fl_26_silence_on_long_reads_is_a_limit_only_while_a_short_one_is_answered(faulty):
    faulty.silent_above = 20
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(50))).running() as line:
        await eventually(lambda: line.learned, within=20)
        (row,) = line.learned
        assert (row["what"], "no answer" in row["reason"]) == ("at most 20 registers a request", True)
        await eventually(lambda: line.seen("x49") and line.seen("x49")[-1] == (1049, 0))


async def test_fl_26_a_dead_unit_teaches_nothing(faulty):
    faulty.mode = "silent"
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(50)), offline_after=3).running() as line:
        await eventually(lambda: len(faulty.requests) >= 4, within=10)
        assert line.learned == []


@pytest.mark.parametrize("code", [5, 6, 10, 11])
async def test_fl_26_later_and_unreachable_teach_nothing(faulty, code):
    faulty.exception = code
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(50)), probe_s=0.1).running() as line:
        await eventually(lambda: len(faulty.requests) > 5)
        assert line.learned == []
        faulty.exception = 0
        await eventually(lambda: line.seen("x49") and line.seen("x49")[-1] == (1049, 0))


async def test_a_gap_that_the_device_does_not_have_is_not_bridged_again(faulty):
    faulty.forbidden = {7}
    specs = [tag_spec(f"x{i}", f"holding/{i}") for i in (0, 1, 2, 12, 13, 14)]
    async with Line(faulty, *specs).running() as line:
        await eventually(lambda: line.seen("x14") and line.seen("x14")[-1] == (1014, 0))
        await eventually(lambda: line.learned)
        faulty.requests.clear()
        await eventually(lambda: len(faulty.requests) > 6)
        assert {(start, count) for _, _, start, count in faulty.requests} == {(0, 3), (12, 3)}


async def test_what_was_learned_of_a_device_holds_for_other_tags_and_not_for_another_unit(faulty):
    faulty.forbidden = {7}
    first = Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(20)))
    async with first.running():
        await eventually(lambda: first.memory.rows)
    second = Line(faulty, tag_spec("wide", "holding/6", "uint32"), tag_spec("y", "holding/9"))
    second.memory.rows.update(first.memory.rows)
    faulty.requests.clear()
    async with second.running():
        await eventually(lambda: second.seen("y"))
        assert second.seen("wide") == [(None, int(Quality.BAD_CONFIG))]
    assert all(not start <= 7 < start + count for _, _, start, count in faulty.requests)


async def test_a_refusal_that_does_not_come_again_cuts_nothing_and_teaches_nothing(faulty):
    specs = [tag_spec(f"x{i}", f"holding/{i}") for i in range(20)]
    async with Line(faulty, *specs).running() as line:
        await eventually(lambda: line.batches)
        faulty.refuse_next = 1
        await eventually(lambda: not faulty.refuse_next)
        faulty.requests.clear()
        await eventually(lambda: len(faulty.requests) > 12)
        assert {(start, count) for _, _, start, count in faulty.requests[-5:]} == {(0, 20)}
        assert line.learned == []
        assert {code for i in range(20) for _, code in line.seen(f"x{i}")} == {0}


async def test_a_block_that_begins_with_many_illegal_registers_keeps_the_legal_ones(faulty):
    faulty.forbidden = set(range(16))
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(60))).running() as line:
        await eventually(lambda: line.seen("x59") and line.seen("x59")[-1] == (1059, 0))
        await eventually(lambda: all(line.seen(f"x{i}") for i in range(16)))
        assert all(line.seen(f"x{i}")[-1] == (None, Quality.BAD_CONFIG) for i in range(16))


async def test_many_scattered_illegal_registers_are_all_found(faulty):
    faulty.forbidden = set(range(3, 125, 4))
    async with Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in range(125))).running() as line:
        await eventually(lambda: len(line.learned) == len(faulty.forbidden), within=15)
        faulty.requests.clear()
        await eventually(lambda: len(faulty.requests) > 80)
        assert not any(set(range(start, start + count)) & faulty.forbidden for _, _, start, count in faulty.requests)
        assert line.seen("x124")[-1] == (1124, 0)


async def test_an_illegal_register_is_learned_from_a_device_that_was_away_at_the_start(faulty):
    faulty.forbidden, faulty.mode = {7}, "silent"
    specs = [tag_spec(f"x{i}", f"holding/{i}") for i in range(20)]
    async with Line(faulty, *specs, probe_s=0.2, offline_after=2).running() as line:
        await eventually(lambda: line.runner.states()["dev"] == "offline", within=10)
        faulty.mode = "good"
        await eventually(lambda: line.learned, within=10)
        await eventually(lambda: line.seen("x19") and line.seen("x19")[-1] == (1019, 0))


async def test_a_silence_in_the_middle_of_an_investigation_only_puts_it_off(faulty):
    faulty.forbidden = {7}
    specs = [tag_spec(f"x{i}", f"holding/{i}") for i in range(20)]
    faulty.silent_at = 3  # the third request stays without an answer
    async with Line(faulty, *specs, probe_s=60.0).running() as line:
        await eventually(lambda: line.learned, within=10)
        assert [row["what"].split(" (")[0] for row in line.learned] == ["holding/7"]
        await eventually(lambda: line.seen("x19") and line.seen("x19")[-1] == (1019, 0))


async def test_a_device_that_refuses_all_while_it_starts_is_asked_again(faulty):
    faulty.exception = 2
    async with Line(faulty, tag_spec("x", "holding/5"), probe_s=0.2).running() as line:
        await eventually(lambda: line.seen("x") == [(None, int(Quality.BAD_CONFIG))])
        assert line.learned == []
        faulty.exception = 0
        await eventually(lambda: line.seen("x")[-1] == (1005, 0))


async def test_the_bits_of_an_illegal_register_are_found_with_few_requests(faulty):
    faulty.forbidden = {5}
    specs = [tag_spec(f"b{n}", f"holding/5.{n}", "bool") for n in range(16)]
    specs += [tag_spec(f"x{i}", f"holding/{i}") for i in range(6, 20)]
    async with Line(faulty, *specs, every_s=60.0).running() as line:
        await eventually(lambda: line.learned and line.seen("x19"))
        assert [row["what"].split(" (")[0] for row in line.learned] == ["holding/5"]
        assert len([1 for _, _, start, count in faulty.requests if start <= 5 < start + count]) <= 7


async def test_a_tag_that_is_placed_into_a_gap_with_an_illegal_register_is_asked(faulty):
    faulty.forbidden = {7}
    first = Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in (0, 1, 12, 13)))
    async with first.running():
        await eventually(lambda: first.memory.rows)
        assert [row["what"] for row in first.learned] == ["no read may go over holding/2-11"]
    second = Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in (0, 1, 4, 12, 13)))
    second.memory.rows.update(first.memory.rows)
    faulty.requests.clear()
    async with second.running():
        await eventually(lambda: second.seen("x4") and second.seen("x13"))
        assert (second.seen("x4")[-1], second.seen("x13")[-1]) == ((1004, 0), (1013, 0))
    assert all(not start <= 7 < start + count for _, _, start, count in faulty.requests)


async def test_an_issue_names_only_refused_registers_that_a_tag_still_lies_on(faulty):
    faulty.forbidden = {7, 20}
    first = Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in (0, 6, 7, 8, 30)))
    async with first.running():
        await eventually(lambda: [issue.id for issue in first.health.open()] == ["device_refuses"])
        assert "holding/7" in first.health.open()[0].text
        await eventually(lambda: first.seen("x30"))
    corrected = Line(faulty, *(tag_spec(f"x{i}", f"holding/{i}") for i in (0, 6, 8, 30)))
    corrected.memory.rows.update(first.memory.rows)
    async with corrected.running():
        await eventually(lambda: len(corrected.seen("x30")) > 2)
        assert corrected.health.open() == []


async def test_a_register_that_is_met_with_silence_costs_only_its_own_tag(faulty):
    faulty.mute = {7}
    specs = [tag_spec(f"x{i}", f"holding/{i}") for i in range(20)]
    async with Line(faulty, *specs, probe_s=0.3).running() as line:
        await eventually(lambda: line.learned, within=20)
        (row,) = line.learned
        assert (row["what"].split(" (")[0], "did not answer" in row["reason"]) == ("holding/7", True)
        await eventually(lambda: line.seen("x19") and line.seen("x19")[-1] == (1019, 0))
        assert line.seen("x7")[-1] == (None, Quality.BAD_CONFIG)


async def test_a_device_that_falls_silent_while_it_is_asked_teaches_nothing(faulty):
    faulty.silent_from, faulty.silent_above = 4, 10
    specs = [tag_spec(f"x{i}", f"holding/{i}") for i in range(20)]
    async with Line(faulty, *specs, offline_after=3).running() as line:
        await eventually(lambda: line.runner.states()["dev"] == "offline", within=20)
        assert line.learned == []


async def test_a_write_whose_scale_factor_is_refused_says_so(faulty):
    faulty.forbidden = {9}
    specs = [tag_spec("w", "holding/8", "int16", access="rw", scale_from="sf"), tag_spec("sf", "holding/9", "int16")]
    async with Line(faulty, *specs, tag_spec("x", "holding/2")).running() as line:
        await eventually(lambda: line.learned)
        result = await line.write("w", 5)
        assert (result.code, "sf" in result.text) == (422, True)


async def test_a_set_that_is_refused_blames_only_the_member_that_is_illegal(faulty):
    faulty.forbidden = {9}
    specs = [tag_spec(f"s{i}", f"holding/{i}", coherent="s") for i in (8, 9)]
    async with Line(faulty, *specs, tag_spec("x", "holding/2")).running() as line:
        await eventually(lambda: line.learned)
        assert [row["what"].split(" (")[0] for row in line.learned] == ["holding/9"]
