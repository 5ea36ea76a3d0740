"""What the result of an interrupted command shows of its device."""

from __future__ import annotations

from gateway.runtime.looking import Looker
from tests.integration.commands.conftest import Bench, online
from tests.support.eventually import eventually


async def test_the_named_tags_are_read_now_and_those_that_cannot_be_are_left_out(bench: Bench) -> None:
    bench.server.registers[1, 10] = 77
    shown = await Looker(bench.node)("pump", ["speed", "reset", "only", "none"])
    assert {tag: (item["value"], item["quality"]) for tag, item in shown.items()} == {
        "speed": (77, "good"),
        "reset": (False, "good"),
    }
    assert bench.writes() == []


async def test_a_device_that_is_away_or_not_there_any_more_shows_nothing(bench: Bench) -> None:
    assert await Looker(bench.node)("nobody", ["speed"]) == {}
    bench.server.mode = "silent"
    await eventually(lambda: not online(bench.node), within=20)
    assert await Looker(bench.node)("pump", ["speed"]) == {}


async def test_just_after_a_start_it_waits_until_somebody_has_heard_of_the_device(bench: Bench) -> None:
    await bench.node.channels.restart("wire")
    assert not online(bench.node), "nothing is known yet"
    shown = await Looker(bench.node)("pump", ["level"])
    assert shown["level"]["value"] == 1000
