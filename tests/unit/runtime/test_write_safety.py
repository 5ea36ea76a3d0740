"""FL-24: what must not be written never reaches the line: who, how far, how often, and all or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.commands import Commands
from gateway.errors import DeviceUnavailable
from gateway.latest import LatestValues
from gateway.maintenance import LOCAL
from gateway.model import (
    Access,
    Batch,
    Block,
    Quality,
    Tag,
    TagSpec,
    Transform,
    Value,
    ValueType,
    Write,
    WriteLimits,
    WriteResult,
    WriteState,
)
from gateway.testing import ManualClock
from tests.support.eventually import eventually
from tests.unit.runtime.support import LIMITED, WRITABLE, bound, channel, tag


class Line:
    """A channel with one device: `holds` is what a read gives, `ends` how the next writes end."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, Value]] = []
        self.reads: list[str] = []
        self.holds: dict[str, tuple[Value, Quality]] = {}
        self.ends: list[WriteState] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: Exception | None = None

    def target(self, device: str) -> Line | None:
        return None if device == "gone" else self

    async def read(self, tags: Any) -> list[tuple[Tag, Value, int, int | None]]:
        self.reads += [each.path for each in tags]
        if self.broken is not None:
            raise self.broken
        return [(each, *map(_plain, self.holds.get(each.path, (None, Quality.BAD_COMM))), 1) for each in tags]

    async def write(self, write: Write) -> WriteResult:
        self.writes.append((write.tag.path, write.value))
        await self.gate.wait()
        state = self.ends.pop(0) if self.ends else WriteState.OK
        code = {WriteState.OK: 200, WriteState.FAILED: 504}.get(state, 422)
        return WriteResult(write.tag.device, write.tag.path, state, code, write.value if code == 200 else None)


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, Quality) else value


class Trail:
    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def record(self, who: str, via: str, what: str, **details: Any) -> None:
        self.entries.append({"who": who, "via": via, "what": what, **details})


class Bench:
    """Commands over one device and a channel that keeps what reaches it."""

    def __init__(self, *specs: TagSpec, device: str = "pump", refuses: Any = lambda _device, _via: "") -> None:
        self.table, (self.device,) = bound(channel(*specs, device=device))
        self.clock = ManualClock()
        self.latest = LatestValues(self.clock)
        self.latest.grow(self.table.size)
        self.line, self.trail = Line(), Trail()
        self.commands = Commands(self.table, self.latest, self.line, self.clock, self.trail, refuses)  # type: ignore[arg-type]

    def hear(self, *values: Value, quality: Quality = Quality.GOOD) -> None:
        codes = [int(quality)] * len(values)
        self.latest.on_batch(Batch(Block("pump", self.device.tags), values, 1, self.clock.mono(), quality=codes))

    async def codes(self, values: dict[str, object], via: str = "local", **more: Any) -> list[int]:
        named = {f"{self.device.id}.{path}": value for path, value in values.items()}
        results = await self.commands.write(named, origin="anna", via=via, **more)
        return [result.code for result in sorted(results, key=lambda result: list(values).index(result.tag))]


def steps(most: float, **words: Any) -> TagSpec:
    limits = WriteLimits(max_change=most)
    return tag("level", words.pop("type", ValueType.FLOAT64), access=Access.READ_WRITE, write=limits, **words)


HEAT = {"labels": ((0, "off"), (1, "heat")), **WRITABLE}
TENTHS = {"transform": Transform(scale=0.1), **WRITABLE}


@pytest.mark.parametrize(
    ("words", "value", "code", "written"),
    [
        (WRITABLE, 7, 200, 7),
        ({}, 7, 403, None),
        ({"access": Access.WRITE}, 7, 200, 7),
        (LIMITED, 0, 200, 0),
        (LIMITED, 100, 200, 100),
        (LIMITED, -1, 422, None),
        (LIMITED, 101, 422, None),
        (WRITABLE | {"range": (0, 10)}, 10, 200, 10),
        (WRITABLE | {"range": (0, 10)}, 11, 422, None),
        (LIMITED | {"range": (-5, 10)}, -1, 422, None),
        (LIMITED | {"range": (-5, 10)}, 11, 422, None),
        (TENTHS, 21.5, 200, 21.5),
        (WRITABLE, 21.5, 400, None),
        (WRITABLE, "7", 400, None),
        (WRITABLE, True, 400, None),
        (WRITABLE, None, 400, None),
        (WRITABLE, float("inf"), 400, None),
        (WRITABLE, 10**400, 400, None),
        (WRITABLE, [7], 400, None),
        (HEAT, "heat", 200, 1),
        (HEAT, 1, 200, 1),
        (HEAT, "cool", 400, None),
        (WRITABLE | {"write": WriteLimits(allow=("cloud",))}, 7, 403, None),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
async def test_fl_24_each_check_by_itself(
    words: dict[str, Any], value: object, code: int, written: Value, dry_run: bool
) -> None:
    bench = Bench(tag("level", **words))
    assert await bench.codes({"level": value}, dry_run=dry_run) == [code]
    assert bench.line.writes == ([] if dry_run or code != 200 else [("level", written)])
    (entry,) = bench.trail.entries
    assert (entry["who"], entry["what"], entry["code"]) == ("anna", "write", code)
    assert entry.get("dry_run", False) is dry_run


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (tag("bad"), 403),
        (tag("bad", **LIMITED | {"range": (0, 1)}), 422),
        (tag("bad", ValueType.STRING, **WRITABLE), 400),
        (tag("bad", access=Access.READ_WRITE, write=WriteLimits(allow=("rule",))), 403),
        (tag("bad", access=Access.READ_WRITE, write=WriteLimits(max_change=1)), 409),
        (tag("other", **WRITABLE), 404),
    ],
)
async def test_fl_24_a_group_with_one_bad_member_writes_nothing(bad: TagSpec, code: int) -> None:
    bench = Bench(tag("first", **WRITABLE), bad, tag("last", **WRITABLE))
    assert await bench.codes({"first": 5, "bad": 5, "last": 5}) == [400, code, 400]
    assert bench.line.writes == []
    assert [entry["state"] for entry in bench.trail.entries] == ["rejected"] * 3


@pytest.mark.parametrize("allow", [("local",), ("cloud",), ("rule",), ("local", "rule"), ("cloud", "plant")])
@pytest.mark.parametrize(
    ("via", "role"),
    [
        *(("local", "local"), ("command", "cloud"), ("shadow", "cloud"), ("rule", "rule"), ("plant", "plant")),
        ("new", "cloud"),
    ],
)
async def test_who_may_write(allow: tuple[str, ...], via: str, role: str) -> None:
    bench = Bench(tag("level", access=Access.READ_WRITE, write=WriteLimits(allow=allow)))
    assert await bench.codes({"level": 5}, via) == [200 if role in allow else 403]
    assert bool(bench.line.writes) is (role in allow)


async def test_maintenance_refuses_whoever_comes_from_afar() -> None:
    bench = Bench(tag("level", **WRITABLE), refuses=lambda _device, via: "" if via == LOCAL else "people work on it")
    assert [(await bench.codes({"level": 5}, via))[0] for via in ("command", "shadow", "local")] == [403, 403, 200]


@pytest.mark.parametrize(
    ("before", "value", "most", "code"),
    [
        (50, 55, 5, 200),
        (50, 45, 5, 200),
        (50, 55.1, 5, 422),
        (50, 44.9, 5, 422),
        (50, 50, 5, 200),
        (-3, 3, 5, 422),
        (-2, 2, 5, 200),
        (0.9, 1.1, 0.2, 200),
        (0.3, 0.1, 0.2, 200),
        (1e9, 1e9 + 5, 5, 200),
        (1e9, 1e9 + 7, 5, 422),
        (0, 1, 1e-3, 422),
    ],
)
async def test_a_write_moves_a_value_by_so_much_in_both_directions(
    before: float, value: float, most: float, code: int
) -> None:
    bench = Bench(steps(most))
    bench.hear(before)
    assert await bench.codes({"level": value}) == [code]
    assert bench.line.writes == ([("level", value)] if code == 200 else [])
    assert bench.line.reads == []  # it was known


@pytest.mark.parametrize(
    "quality", [Quality.LAST_KNOWN, Quality.STALE, Quality.LOCAL_OVERRIDE, Quality.BAD_COMM, Quality.UNCERTAIN]
)
async def test_a_value_that_is_not_good_is_read_before_it_is_judged_by(quality: Quality) -> None:
    bench = Bench(steps(5))
    bench.hear(50.0, quality=quality)
    bench.line.holds["level"] = (10.0, Quality.GOOD)
    assert await bench.codes({"level": 52}) == [422]
    assert await bench.codes({"level": 15}) == [200]
    assert bench.line.reads == ["level", "level"]
    assert bench.line.writes == [("level", 15)]


@pytest.mark.parametrize("holds", [(None, Quality.BAD_COMM), (10.0, Quality.STALE), ("text", Quality.GOOD)])
async def test_a_write_from_an_unknown_value_is_refused_when_reading_gives_none(holds: tuple[Value, Quality]) -> None:
    bench = Bench(steps(5))
    bench.line.holds["level"] = holds
    assert await bench.codes({"level": 12}) == [409]
    assert bench.line.writes == []


async def test_a_device_that_cannot_be_asked_leaves_the_value_unknown() -> None:
    bench = Bench(steps(5))
    for error in (DeviceUnavailable("silent"), TimeoutError(), OSError()):
        bench.line.broken = error
        assert await bench.codes({"level": 12}) == [409]
    assert bench.line.writes == []


async def test_a_tag_of_a_channel_that_is_down_has_no_known_value() -> None:
    bench = Bench(steps(5), device="gone")
    assert await bench.codes({"level": 12}) == [409]


async def test_a_tag_that_is_read_on_demand_is_read_each_time() -> None:
    bench = Bench(steps(5, on_demand=True))
    bench.hear(50.0)
    bench.line.holds["level"] = (10.0, Quality.GOOD)
    assert await bench.codes({"level": 51}) == [422]
    assert await bench.codes({"level": 14}) == [200]
    assert await bench.codes({"level": 18}) == [422]  # somebody set it back to 10 at the panel since
    assert bench.line.writes == [("level", 14)]


async def test_the_next_step_goes_on_from_what_was_written_although_a_deadband_holds_it_back() -> None:
    bench = Bench(steps(5))
    bench.hear(50.0)
    await bench.clock.advance(1)
    assert [(await bench.codes({"level": value}))[0] for value in (55, 60, 50)] == [200, 200, 422]
    await bench.clock.advance(1)
    bench.hear(51.0)  # and what is heard later counts again
    assert await bench.codes({"level": 46}) == [200]


async def test_while_a_write_is_under_way_the_next_one_is_judged_from_both_values() -> None:
    bench = Bench(steps(5))
    bench.hear(50.0)
    bench.line.gate.clear()
    first = asyncio.ensure_future(bench.codes({"level": 55}))
    await asyncio.sleep(0)
    assert await bench.codes({"level": 46}) == [422]
    assert await bench.codes({"level": 58}) == [422]
    between = asyncio.ensure_future(bench.codes({"level": 52}))
    bench.line.gate.set()
    assert (await first, await between) == ([200], [200])
    assert bench.line.writes == [("level", 55), ("level", 52)]


async def test_after_a_write_without_an_answer_the_value_is_read_first() -> None:
    bench = Bench(steps(5))
    bench.hear(50.0)
    bench.line.ends = [WriteState.FAILED]
    assert await bench.codes({"level": 55}) == [504]
    bench.line.holds["level"] = (55.0, Quality.GOOD)  # it had arrived
    assert await bench.codes({"level": 60}) == [200]
    assert bench.line.reads == ["level"]


async def test_after_a_cancelled_write_the_value_is_read_first_and_the_write_is_in_the_audit_log() -> None:
    bench = Bench(steps(5))
    bench.hear(50.0)
    bench.line.gate.clear()
    call = asyncio.ensure_future(bench.codes({"level": 55}))
    await eventually(lambda: bench.line.writes)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    (entry,) = bench.trail.entries
    assert (entry["state"], entry["old"], entry["new"]) == ("failed", 50.0, 55)
    assert "not known" in entry["text"]
    bench.line.gate.set()
    assert await bench.codes({"level": 51}) == [409]
    assert bench.line.reads == ["level"]


async def test_a_write_that_is_cancelled_before_it_began_is_told_and_binds_nothing() -> None:
    bench = Bench(steps(5))
    bench.hear(50.0)
    call = asyncio.ensure_future(bench.codes({"level": 55}))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert [(entry["state"], entry["code"]) for entry in bench.trail.entries] == [("expired", 408)]
    assert bench.line.writes == []
    assert await bench.codes({"level": 45}) == [200]


async def test_a_driver_that_raises_ends_as_a_failed_write_in_the_audit_log() -> None:
    bench = Bench(tag("level", **WRITABLE))
    bench.line.gate = None  # type: ignore[assignment]
    assert await bench.codes({"level": 5}) == [500]
    assert bench.trail.entries[0]["state"] == "failed"


async def test_the_rate_limit_counts_what_was_written_and_not_what_was_refused_or_tried_dry() -> None:
    bench = Bench(tag("level", **LIMITED))
    assert await bench.codes({"level": 101}) == [422]
    assert await bench.codes({"level": 1}, dry_run=True) == [200]
    found = [(await bench.codes({"level": value}))[0] for value in (1, 2, 3)]
    assert found == [200, 200, 429]
    assert await bench.codes({"level": 4}, dry_run=True) == [429]
    await bench.clock.advance(61)
    assert await bench.codes({"level": 4}) == [200]


async def test_calls_side_by_side_cannot_pass_the_rate_limit_while_a_value_is_looked_up() -> None:
    limits = WriteLimits(max_change=5, rate=(2, 60.0))
    bench = Bench(tag("level", ValueType.FLOAT64, access=Access.READ_WRITE, write=limits))
    bench.line.holds["level"] = (10.0, Quality.GOOD)
    codes = await asyncio.gather(*(bench.codes({"level": 11 + i / 10}) for i in range(5)))
    assert sorted(code for (code,) in codes) == [200, 200, 429, 429, 429]
    assert len(bench.line.writes) == 2


async def test_a_dry_run_says_so_and_leaves_no_trace_but_its_audit_entry() -> None:
    bench = Bench(steps(5))
    bench.hear(50.0)
    (result,) = await bench.commands.write({"pump.level": 55}, origin="anna", via="local", dry_run=True)
    assert (result.state, result.code, result.text) == (WriteState.OK, 200, "dry run: nothing was written")
    assert result.value is None
    assert bench.line.writes == []
    assert await bench.codes({"level": 45}) == [200]  # judged from 50: 55 was never written
    assert [entry.get("dry_run") for entry in bench.trail.entries] == [True, None]


async def test_a_dry_run_to_a_channel_that_is_down_says_that_it_would_fail() -> None:
    bench = Bench(tag("level", **WRITABLE), device="gone")
    assert await bench.codes({"level": 5}, dry_run=True) == [504]


async def test_an_audit_entry_has_who_what_before_wanted_and_what_became_of_it() -> None:
    bench = Bench(tag("level", **HEAT))
    bench.hear(0)
    await bench.commands.write({"pump.level": "heat"}, origin="scada-1", via="command", rid="c-7")
    assert bench.trail.entries == [
        {
            "who": "scada-1", "via": "command", "what": "write", "device": "pump", "tag": "level", "old": 0, "new": 1,
            "state": "ok", "code": 200, "value": 1, "rid": "c-7",
        }
    ]  # fmt: skip
