"""The server goes and comes back, with its namespaces numbered anew; the link goes and the server stays."""

from __future__ import annotations

import pytest

from drivers.opcua.settings import Subscription
from gateway.fake_context import FakeContext
from gateway.model import Quality
from tests.drivers.opcua.kit import at_work, channel_of, tag_spec
from tests.support.eventually import eventually
from tests.support.opcua_plant import LINE
from tests.support.opcua_process import PlantProcess
from tests.support.parts import require

GOOD = Quality.GOOD


@pytest.fixture
def own_plant():
    require("asyncua")
    plant = PlantProcess(5)
    yield plant
    plant.close()


async def test_fl_35_five_restarts_with_other_numbers_of_the_namespaces_bring_the_same_tags_back(own_plant):
    index = await own_plant.say("index")
    tags = [
        tag_spec("by_index", f"ns={index};s=Line.Speed"),
        tag_spec("Speed"),
        tag_spec("path", f"/Objects/{index}:Line/Speed"),
        tag_spec("position", f"nsu={LINE};s=Line.Axis#.position"),
        tag_spec("nobody"),
    ]
    numbers = {index}
    async with at_work(channel_of(own_plant.url, tags)) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == 5)
        for seed in range(1, 6):
            await own_plant.say("restart", seed)
            numbers.add(await own_plant.say("index"))
            moment = 1_767_225_600_000 + seed * 1001
            await own_plant.say("put", "Speed", 1000.0 + seed, moment)
            wanted = {f"line.{name}": (1000.0 + seed, GOOD) for name in ("by_index", "Speed", "path")}
            wanted |= {"line.position": (1.5, GOOD), "line.nobody": (None, Quality.BAD_CONFIG)}
            # bad while it was away, so good again means that it is back: 10 s are the promise
            await eventually(lambda w=wanted: ctx.latest() == w, within=10, why=lambda: str((ctx.latest(), ctx.states)))
            assert {b.ts for b in ctx.batches[-6:] for v in b.values if v == 1000.0 + seed} == {moment}
            assert await own_plant.say("sessions") == 1
        assert len(numbers) > 2
        assert driver.counters()["connections"] == 6
        assert [state for _, state in ctx.states if state == "online"] == ["online"] * 6


async def test_an_index_keeps_its_meaning_while_the_gateway_is_down(own_plant):
    index = await own_plant.say("index")
    channel = channel_of(own_plant.url, [tag_spec("Speed", f"ns={index};s=Line.Speed")])
    first = FakeContext(channel)
    async with at_work(channel, first):
        await eventually(lambda: first.latest() == {"line.Speed": (100.5, GOOD)})
    seed = 1
    while await own_plant.say("index") == index:
        await own_plant.say("restart", seed)
        seed += 1
    second = FakeContext(channel)
    second.memory = first.memory
    async with at_work(channel, second):
        await eventually(lambda: second.latest() == {"line.Speed": (100.5, GOOD)})
    third = FakeContext(channel)
    third.memory.put("namespaces", {str(index): "http://gone.example"})
    async with at_work(channel, third):
        await eventually(lambda: "line.Speed" in third.remarks)
        assert "was http://gone.example" in third.remarks["line.Speed"]


async def test_a_link_that_was_cut_leaves_no_second_session_behind(own_plant, make_proxy):
    proxy = make_proxy(own_plant.port)
    async with at_work(channel_of(f"opc.tcp://127.0.0.1:{proxy.port}/plant", [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        for number in range(3):
            proxy.reset()
            await eventually(lambda n=number: driver.counters().get("connections", 0) == 2 + n)
            await eventually(
                lambda: ctx.latest()["line.Speed"] == (100.5, GOOD),
                why=lambda: str((ctx.latest(), ctx.remarks, ctx.states)),
            )
            assert await own_plant.say("sessions") == 1


async def test_a_link_that_died_without_a_word_is_found(own_plant, make_proxy):
    proxy = make_proxy(own_plant.port)
    subscription = Subscription(keep_alive=0.5)
    channel = channel_of(f"opc.tcp://127.0.0.1:{proxy.port}/plant", [tag_spec("Speed")], subscription=subscription)
    async with at_work(channel) as (ctx, _):
        await eventually(lambda: ctx.latest())
        proxy.swallow()
        await eventually(lambda: ctx.states[-1][1].startswith("offline"), within=15)
        proxy.pass_()
        await eventually(lambda: ctx.states[-1][1] == "online", within=15)


async def test_a_session_is_closed_when_the_channel_stops(own_plant):
    async with at_work(channel_of(own_plant.url, [tag_spec("Speed")])) as (ctx, _):
        await eventually(lambda: ctx.latest())
        assert await own_plant.say("sessions") == 1
    assert await own_plant.say("sessions") == 0
