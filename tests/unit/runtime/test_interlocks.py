"""Interlocks: what a tag's own condition forbids is not written, whoever asks and however."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.commands import Commands
from gateway.latest import LatestValues
from gateway.model import Access, Tag, ValueType, Write, WriteLimits, WriteResult, WriteState
from gateway.testing import ManualClock
from tests.unit.runtime.support import WRITABLE, bound, channel, tag

LOCKED = {"access": Access.READ_WRITE, "write": WriteLimits(interlock="tank.level > 10")}


class Line:
    """A channel that takes writes, each when the gate is open."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def target(self, _device: str) -> Line:
        return self

    async def write(self, write: Write) -> WriteResult:
        self.written.append(write.tag.path)
        return WriteResult(write.tag.device, write.tag.path, WriteState.OK, 200)

    async def read(self, tags: Any) -> list[Any]:
        await self.gate.wait()
        return [(each, 50.0, 0, 1) for each in tags]


class Trail:
    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def record(self, who: str, via: str, what: str, **details: Any) -> None:
        self.entries.append({"who": who, "via": via, "what": what, **details})


class Bench:
    """A pump whose interlock a test opens and closes. `asked` is who it was asked about."""

    def __init__(self, **run: Any) -> None:
        table, _ = bound(
            channel(tag("run", ValueType.BOOL, **LOCKED, **run), tag("speed", **WRITABLE), tag("lamp", **WRITABLE))
        )
        self.reason, self.asked = "", []
        self.line, self.trail, self.clock = Line(), Trail(), ManualClock()
        latest = LatestValues(self.clock)
        latest.grow(table.size)
        self.commands = Commands(
            table,
            latest,
            self.line,  # type: ignore[arg-type]
            self.clock,
            self.trail,  # type: ignore[arg-type]
            interlock=self.interlock,
        )

    def interlock(self, asked: Tag) -> str:
        self.asked.append(asked.path)
        return self.reason

    async def write(self, values: dict[str, object], via: str = "local", **more: Any) -> dict[str, WriteResult]:
        named = {f"pump.{path}": value for path, value in values.items()}
        return {one.tag: one for one in await self.commands.write(named, origin="anna", via=via, **more)}


@pytest.mark.parametrize("via", ["local", "command", "shadow", "rule"])
async def test_every_way_of_writing_meets_the_interlock(via: str) -> None:
    bench = Bench()
    bench.reason = "not while tank.level is 4"
    result = (await bench.write({"run": True}, via))["run"]
    assert (result.state, result.code) == (WriteState.REJECTED, 403)
    assert result.text == "pump.run: not while tank.level is 4 (interlock)"
    assert bench.line.written == []
    entry = bench.trail.entries[-1]
    assert (entry["via"], entry["state"], entry["code"], entry["text"]) == (via, "rejected", 403, result.text)


async def test_an_open_interlock_lets_the_write_pass() -> None:
    bench = Bench()
    assert (await bench.write({"run": True}))["run"].code == 200
    assert bench.line.written == ["run"]


async def test_tags_without_an_interlock_do_not_ask() -> None:
    bench = Bench()
    bench.reason = "not now"
    assert (await bench.write({"speed": 1, "lamp": 0}))["speed"].code == 200
    assert bench.asked == []


async def test_a_group_with_a_locked_member_writes_nothing() -> None:
    bench = Bench()
    bench.reason = "not now"
    results = await bench.write({"speed": 1, "run": True})
    assert {path: one.code for path, one in results.items()} == {"speed": 400, "run": 403}
    assert bench.line.written == []


async def test_a_dry_run_says_what_the_interlock_says() -> None:
    bench = Bench()
    bench.reason = "not now"
    assert (await bench.write({"run": True}, dry_run=True))["run"].code == 403
    bench.reason = ""
    assert (await bench.write({"run": True}, dry_run=True))["run"].code == 200
    assert bench.line.written == []


async def test_an_interlock_that_closes_between_the_check_and_the_wire_still_holds() -> None:
    bench = Bench()

    def closes(asked: Tag) -> str:
        bench.asked.append(asked.path)
        return "not any more" if len(bench.asked) > 2 else ""

    bench.commands._interlock = closes
    result = (await bench.write({"run": True}))["run"]
    assert (result.state, result.code) == (WriteState.REJECTED, 403)
    assert bench.line.written == []
    assert bench.trail.entries[-1]["text"] == "pump.run: not any more (interlock)"


async def test_an_interlock_that_closes_while_another_value_is_looked_up_holds() -> None:
    table, _ = bound(
        channel(
            tag("run", ValueType.BOOL, **LOCKED),
            tag("level", ValueType.FLOAT64, access=Access.READ_WRITE, write=WriteLimits(max_change=100)),
        )
    )
    reasons = [""]
    line, clock = Line(), ManualClock()
    latest = LatestValues(clock)
    latest.grow(table.size)
    commands = Commands(table, latest, line, clock, Trail(), interlock=lambda _tag: reasons[-1])  # type: ignore[arg-type]
    line.gate.clear()
    writing = asyncio.ensure_future(
        commands.write({"pump.run": True, "pump.level": 60.0}, origin="anna", via="rule", rid="1")
    )
    await clock.settle()
    reasons.append("not while somebody works at it")
    line.gate.set()
    assert {one.tag: one.code for one in await writing} == {"run": 403, "level": 400}
    assert line.written == []
