"""What `rules show` and `rules why` say of conditions, windows and steps: on copies, so that a look changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gateway.model import Quality, TagSpec, ValueType
from gateway.rulebook import AlarmSpec, Assignment, RuleBook, RuleSpec, Step
from gateway.runtime.hindsight import Hindsight
from gateway.runtime.rulelook import step_text
from rules.replay import baseline
from tests.support.rulings import RuledGateway

FLOAT = ValueType.FLOAT64
DEVICES = {
    "boiler": [TagSpec("temperature", FLOAT, None), TagSpec("pressure", FLOAT, None)],
    "pump": [TagSpec("run", ValueType.BOOL, None)],
}
HOT = RuleSpec(
    "hot",
    when="boiler.temperature > 80 and boiler.pressure > 3",
    for_s=10,
    until="boiler.temperature < 75",
    start=(Step("write", assign=(Assignment("pump.run", True),)), Step("delay", seconds=5), Step("log", text="hot")),
    end=(Step("webhook", url="https://example.org/?token=s3cret"),),
    alarm=AlarmSpec("hot", "gateway", rule="hot"),
)
MEAN = RuleSpec("mean", when="avg(boiler.temperature, 5m) > 80 or hysteresis(boiler.pressure, 2, 3)", on_bad="reset")
HIGH = AlarmSpec("high", "boiler", on="{temperature} > 80", off="{temperature} < 75", device="boiler", on_delay_s=2,
                 suppress="not {pump.run}")  # fmt: skip
BOOK = RuleBook(rules=(HOT, MEAN), alarms=(HIGH,))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RuledGateway]:
    made = RuledGateway(tmp_path, DEVICES)
    await made.start(BOOK)
    yield made
    await made.stop()


def conditions(gateway: RuledGateway, name: str) -> dict[str, tuple[Any, str]]:
    return {row["name"]: (row["now"], row["because"]) for row in gateway.ruling.details(name)["conditions"]}


async def test_a_condition_is_true_false_or_not_known_and_the_bad_input_is_named(gateway: RuledGateway) -> None:
    assert conditions(gateway, "hot") == {
        "when": (None, "boiler.temperature was not read yet, boiler.pressure was not read yet"),
        "until": (None, "boiler.temperature was not read yet"),
    }
    gateway.publish("boiler", temperature=85.0, pressure=4.0)
    assert conditions(gateway, "hot") == {"when": (True, ""), "until": (False, "")}
    gateway.publish("boiler", Quality.BAD_COMM, pressure=None)
    assert conditions(gateway, "hot")["when"] == (None, "boiler.pressure is bad/comm")
    assert gateway.ruling.rules()[0]["held"]


async def test_what_it_waits_for_and_its_steps_are_told_without_a_url(gateway: RuledGateway) -> None:
    told = gateway.ruling.details("hot")
    assert (told["for"], told["on_bad"]) == (10_000, "hold")
    assert told["start"] == ["write pump.run = true", "wait 5 s", "log: hot"]
    assert told["end"] == ["webhook example.org:443"]
    assert gateway.ruling.details("hot@gateway") == told


async def test_an_alarm_has_its_delays_and_its_suppression(gateway: RuledGateway) -> None:
    gateway.publish("boiler", temperature=85.0)
    gateway.publish("pump", run=True)
    told = gateway.ruling.details("high@boiler")
    assert (told["on_delay"], told["off_delay"]) == (2000, 0)
    found = conditions(gateway, "high@boiler")
    assert found == {"active": (True, ""), "over": (False, ""), "suppress": (False, "")}


async def test_windows_have_their_figures_or_none_before_they_are_full(gateway: RuledGateway) -> None:
    gateway.publish("boiler", temperature=70.0, pressure=1.0)
    (row,) = gateway.ruling.details("mean")["windows"]
    assert row == {"tag": "boiler.temperature", "size": 300_000, "hop": 0, "values": {"avg": None}}
    assert conditions(gateway, "mean")["when"] == (None, "a window in it has no value yet")
    await gateway.clock.advance(300)
    gateway.publish("boiler", temperature=90.0)
    await gateway.clock.advance(150)
    (row,) = gateway.ruling.details("mean")["windows"]
    assert row["values"] == {"avg": pytest.approx(80.0)}


async def test_a_look_changes_nothing(gateway: RuledGateway) -> None:
    gateway.publish("boiler", temperature=70.0, pressure=2.5)
    await gateway.clock.advance(400.7)
    engine = gateway.ruling.engine
    assert engine is not None
    before = msgpack.packb(baseline.take(engine))
    for name in ("hot", "mean", "high@boiler"):
        gateway.ruling.details(name)
    assert msgpack.packb(baseline.take(engine)) == before


async def test_why_has_the_parts_and_an_alarm_of_an_issue_that_never_came(gateway: RuledGateway) -> None:
    assert (await Hindsight(gateway).why("hot", 1))["details"]["for"] == 10_000
    quiet = await Hindsight(gateway).why("device_offline@boiler", 1)
    assert (quiet["alarm"]["state"], quiet["details"], quiet["runs"]) == ("normal", {}, [])
    gateway.health.set("device_offline", "boiler", "boiler does not answer")
    gateway.health.clear("device_offline", "boiler")
    (run,) = (await Hindsight(gateway).why("device_offline@boiler", 1))["runs"]
    assert [row["event"] for row in run["transitions"]] == ["active", "clear"]
    assert run["begin"]["text"] == "boiler does not answer"


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Step("set", assign=(Assignment("a.b", expression="c.d * 2"),)), "set a.b = c.d * 2"),
        (Step("command", op="reboot", device="plc"), "command reboot plc"),
        (Step("publish", topic="x/y"), "publish x/y"),
        (Step("notify", to=("shift", "boss"), text="come"), "notify shift, boss: come"),
    ],
)
def test_a_step_in_one_line(step: Step, text: str) -> None:
    assert step_text(step) == text
