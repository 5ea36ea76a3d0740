"""What a driver that pushes can be asked: reads, read-backs, methods, looks; and what it tells besides values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from gateway.abilities import Sighting
from gateway.deviceevents import BURST
from gateway.driver import Columns, DriverContext
from gateway.errors import DeviceUnavailable, LinkLost, RequestRefused, WriteRejected
from gateway.model import Access, Device, DeviceState, Quality, Tag, Value, Verify, WriteState
from gateway.pushing import STEP_S
from tests.unit.kernel.kernel_world import Running, SimWire, World, device_spec, tag_spec


class Passive:
    """Goes online, has its link up, and does what the test does with `ctx`."""

    def __init__(self, wire: SimWire) -> None:
        self.wire = wire
        wire.ctx = None  # type: ignore[attr-defined]

    async def run(self, ctx: DriverContext) -> None:
        self.wire.ctx = ctx  # type: ignore[attr-defined]
        ctx.link(up=True)
        for device in ctx.devices:
            ctx.online(device.id)
        await asyncio.Event().wait()


class Asked(Passive):
    """Can be asked, browsed, scanned and called, too."""

    async def ask(self, device: Device, tags: Sequence[Tag]) -> Columns:
        if self.wire.stuck:
            await asyncio.Event().wait()
        if self.wire.down:
            raise LinkLost("session closed")
        bad = [int(Quality.BAD_CONFIG) if tag.name in self.wire.refused_tags else 0 for tag in tags]
        return Columns([self.wire.values.get(tag.name, 0) for tag in tags], bad if any(bad) else None, ts=1_234)

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        if not self.wire.ignore_writes:
            self.wire.values[tag.name] = value

    def methods(self, device: Device) -> Sequence[Mapping[str, Any]]:
        return [{"method": "home"}]

    async def call(self, device: Device, method: str, args: Mapping[str, Any]) -> Any:
        if method != "home":
            raise WriteRejected(f"there is no method {method}", code=404)
        return {"at": args.get("to", 0)}

    async def scan(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        if options:
            raise ValueError("there are no options")
        yield {"found": 1}
        if self.wire.stuck:
            await asyncio.Event().wait()
        yield {"found": 2}

    async def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        for place in range(options.get("n", 3)):
            yield {"address": f"n{place}"}


def world(driver: type[Passive] = Asked, **tag: Any) -> World:
    tags = [tag_spec("x", access=Access.READ_WRITE, **tag), tag_spec("y", access=Access.READ_WRITE)]
    return World([device_spec("a", tags)], driver=driver)


def ctx_of(site: World) -> DriverContext:
    found: DriverContext = site.wire.ctx  # type: ignore[attr-defined]
    return found


async def test_a_read_asks_the_driver_and_is_published_with_its_own_time() -> None:
    site = world()
    site.wire.values = {"a.x": 7, "a.y": 8}
    async with Running(site):
        rows = await site.runner.read([site.tag("a.x"), site.tag("a.y")])
        assert [(tag.path, value, quality, ts) for tag, value, quality, ts in rows] == [
            ("x", 7, 0, 1_234),
            ("y", 8, 0, 1_234),
        ]
        assert site.readings("a") == [("x", 7, 0, 1_234), ("y", 8, 0, 1_234)]
        assert [row[1] for row in await site.runner.probe([site.tag("a.x")])] == [7]
        assert len(site.batches) == 1, "what is probed is nobody else's"


class Moments(Asked):
    """Values that were true at different times, told latest first."""

    async def ask(self, device: Device, tags: Sequence[Tag]) -> list[Columns]:
        return [Columns([place], None, [place], 1_000 + place) for place in reversed(range(len(tags)))]


async def test_values_of_different_moments_keep_theirs_when_they_are_asked_for_together() -> None:
    async with Running(site := world(Moments)):
        rows = await site.runner.read([site.tag("a.x"), site.tag("a.y")])
        assert [row[1:] for row in rows] == [(0, 0, 1_000), (1, 0, 1_001)]
        assert site.readings("a") == [("x", 0, 0, 1_000), ("y", 1, 0, 1_001)]


async def test_one_bad_tag_of_a_read_is_a_bad_row_and_its_reason_is_kept_for_people() -> None:
    site = world()
    site.wire.refused_tags.add("a.y")
    async with Running(site):
        ctx_of(site).explain(site.tag("a.y"), "BadNodeIdUnknown")
        rows = await site.runner.read([site.tag("a.x"), site.tag("a.y")])
        assert [row[2] for row in rows] == [0, Quality.BAD_CONFIG]
        assert (site.runner.why(site.tag("a.y")), site.runner.why(site.tag("a.x"))) == ("BadNodeIdUnknown", "")
        ctx_of(site).explain(site.tag("a.y"), "")
        assert site.runner.why(site.tag("a.y")) == ""


async def test_a_driver_that_cannot_be_asked_says_so_and_a_lost_link_gives_nothing() -> None:
    async with Running(site := world(Passive)):
        with pytest.raises(RequestRefused, match="cannot be asked"):
            await site.runner.read([site.tag("a.x")])
        with pytest.raises(RequestRefused, match="cannot scan"):
            await anext(site.runner.scan({}))
        with pytest.raises(RequestRefused, match="has no methods"):
            await site.runner.call("a", "home", {})
    site = world()
    async with Running(site):
        site.wire.down = True
        assert [row[1:] for row in await site.runner.read([site.tag("a.x")])] == [(None, Quality.BAD_COMM, None)]


async def test_a_write_is_read_back_where_the_driver_can_be_asked() -> None:
    site = world()
    async with Running(site):
        done = await site.write("a.x", 5)
        assert (done.state, done.value, done.verified) == (WriteState.OK, 5, True)
        site.wire.ignore_writes = True
        done = await site.write("a.x", 6)
        assert (done.state, done.code, done.value) == (WriteState.FAILED, 500, 5)
        assert "written 6, but x reads 5" in done.text
        site.wire.ignore_writes, site.wire.down = False, True
        done = await site.write("a.y", 6)
        assert (done.state, done.code) == (WriteState.FAILED, 504)
        assert done.text == "written, but not read back: session closed"


async def test_a_feedback_tag_is_read_after_its_time() -> None:
    site = world(verify=Verify(tag="y", settle_s=2.0))
    async with Running(site) as running:
        site.wire.values["a.y"] = 0
        pending = running.task(site.write("a.x", 1))
        await site.clock.advance(1.0)
        assert not pending.done()
        site.wire.values["a.y"] = 1
        await site.clock.advance(1.5)
        done = await pending
        assert (done.state, done.value, done.verified) == (WriteState.OK, 1, True)


async def test_a_call_that_never_ends_is_ended_by_the_kernel() -> None:
    site = world()
    async with Running(site) as running:
        site.wire.stuck = True
        reading = running.task(site.runner.read([site.tag("a.x")]))
        await site.clock.advance(2.1)
        assert [row[1:] for row in await reading] == [(None, Quality.BAD_COMM, None)]
        looking = site.runner.scan({})
        assert await anext(looking) == {"found": 1}

        async def step() -> str:
            with pytest.raises(DeviceUnavailable) as caught:
                await anext(looking)
            return str(caught.value)

        ended = running.task(step())
        await site.clock.advance(STEP_S + 0.1)
        assert "did not end" in await ended


async def test_scans_browsing_and_methods_reach_the_driver() -> None:
    site = world()
    async with Running(site):
        assert [item async for item in site.runner.scan({})] == [{"found": 1}, {"found": 2}]
        assert len([item async for item in site.runner.browse({"n": 5})]) == 5
        with pytest.raises(ValueError, match="no options"):
            await anext(site.runner.scan({"x": 1}))
        assert await site.runner.call("a", "home", {"to": 3}) == {"at": 3}
        with pytest.raises(WriteRejected, match="no method"):
            await site.runner.call("a", "x", {})
        assert site.runner.methods("a") == [{"method": "home"}]


async def test_nothing_is_looked_for_while_the_link_is_down() -> None:
    site = world()
    async with Running(site):
        assert site.runner.connected
        ctx_of(site).link(up=False)
        assert not site.runner.connected
        with pytest.raises(DeviceUnavailable, match="not connected"):
            await anext(site.runner.browse({}))
        ctx_of(site).offline("a", "session closed")
        with pytest.raises(DeviceUnavailable, match="session closed"):
            await site.runner.call("a", "home", {})
        assert site.runner.states() == {"a": DeviceState.OFFLINE}


async def test_a_keep_alive_renews_the_age_and_nothing_else() -> None:
    site = world()
    async with Running(site):
        await site.clock.advance(5.0)
        before = len(site.batches)
        ctx_of(site).fresh("a")
        assert site.polled[-1] == ("a", site.clock.mono())
        assert len(site.batches) == before


async def test_events_of_a_device_are_entries_and_a_flood_is_cut_and_counted() -> None:
    site = world()
    async with Running(site):
        ctx = ctx_of(site)
        ctx.event("a", "button", {"ts": 99, "press": "long"})
        assert site.events[-1] == {
            "ts": 99,
            "kind": "device_event",
            "device": "a",
            "channel": "line1",
            "what": "button",
            "fields": {"press": "long"},
        }
        for _ in range(1_000):
            ctx.event("a", "button", {})
        told = [entry for entry in site.events if entry["kind"] == "device_event"]
        assert len(told) == BURST
        ctx.event("a", "odd", {"x": float("nan")})
        await site.clock.advance(1.0)
        ctx.event("a", "big", {"x": "y" * 10_000})
        ctx.event("a", "button", {})
        assert site.events[-1]["left_out"] == 1_001 - BURST + 2


async def test_what_was_seen_is_told_with_its_channel() -> None:
    site = world()
    seen: list[tuple[str, Sighting]] = []
    site.runner._sighted = lambda channel, sighting: seen.append((channel, sighting))
    async with Running(site):
        ctx_of(site).sighted(Sighting("aa:bb", properties={"maker": "x"}))
    assert seen == [("line1", Sighting("aa:bb", properties={"maker": "x"}))]


class Echoes(Asked):
    """Cannot ask; its device says by itself what a write made of a tag."""

    ask = None  # type: ignore[assignment]

    async def echoed(self, tag: Tag, fits: Any, within_s: float) -> tuple[bool, Value]:
        if self.wire.down:
            raise LinkLost("gone")
        said = self.wire.values.get(tag.name)
        return fits(said), said


async def test_what_a_device_says_after_a_write_verifies_it_or_fails_it() -> None:
    site = world(Echoes)
    async with Running(site):
        result = await site.write("a.x", 5)
        assert (result.state, result.verified, result.value) == (WriteState.OK, True, 5)
        site.wire.ignore_writes = True
        result = await site.write("a.x", 6)
        assert (result.state, result.verified, result.value) == (WriteState.FAILED, False, 5)
        assert "a.x" in result.text or "x is 5" in result.text
        del site.wire.values["a.x"]
        result = await site.write("a.x", 7)
        assert (result.state, result.verified) == (WriteState.OK, False), "silence is no refusal"
        site.wire.down = True
        result = await site.write("a.x", 8)
        assert (result.state, result.verified) == (WriteState.OK, False)
        assert "not verified" in result.text
