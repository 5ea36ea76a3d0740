"""The ops on alarms over a real book: who may, which alarm is meant, what is told, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.runtime.alarmops import AlarmOps
from gateway.runtime.ops import OpRefused, OpTable
from gateway.uplink.ports import CLOUD, LOCAL, Caller
from rules.alarms.refusal import AlarmRefused
from tests.unit.rules.alarm_kit import DAY, HOUR, WALL, spec
from tests.unit.runtime.alarm_bench import Bench

PUMP, BOILER, OVEN = "press_hi@pump", "hot@boiler", "hot@oven"


async def ask(bench: Bench, op: str, device: str | None = None, caller: Caller | None = None, **args: Any) -> Any:
    return await OpTable(AlarmOps(bench).table())(op, device, args, caller or Caller("anna", CLOUD, rid="c-1"))


async def test_an_ack_names_who_and_is_told_with_the_state_before_and_after() -> None:
    bench = Bench()
    bench.desk.active(PUMP)
    answer = await ask(bench, "alarm_ack", id="press_hi", comment="seen")
    assert answer == {"out": {"alarms": [{"key": PUMP, "before": "unack_active", "state": "ack_active"}]}}
    assert (bench.desk.last.who, bench.desk.last.comment, bench.desk.last.event) == ("anna", "seen", "ack")
    assert bench.audit.entries == [
        {
            "who": "anna",
            "via": CLOUD,
            "what": "alarm_ack",
            "alarm": PUMP,
            "device": "pump",
            "comment": "seen",
            "rid": "c-1",
            "old": "unack_active",
            "new": "ack_active",
            "state": "ok",
            "code": 200,
        }
    ]


@pytest.mark.parametrize(
    ("device", "id_", "meant"),
    [("oven", "hot", OVEN), (None, OVEN, OVEN), ("boiler", BOILER, BOILER), (None, "press_hi", PUMP)],
)
async def test_an_alarm_is_named_by_id_with_its_entity_where_that_is_needed(
    device: str | None, id_: str, meant: str
) -> None:
    bench = Bench()
    for key in (PUMP, BOILER, OVEN):
        bench.desk.active(key)
    (one,) = (await ask(bench, "alarm_ack", device, id=id_))["out"]["alarms"]
    assert one["key"] == meant


@pytest.mark.parametrize(
    ("device", "args", "code"),
    [
        (None, {"id": "nothing"}, 404),
        ("pump", {"id": "hot"}, 404),
        (None, {"id": "hot"}, 400),  # two have it
        ("oven", {"id": BOILER}, 400),
        (None, {}, 400),
        (None, {"id": 5}, 400),
        (None, {"id": "press_hi", "comment": 5}, 400),
        (None, {"id": "press_hi", "comment": "x" * 501}, 400),
        (None, {"id": "press_hi", "all": True}, 400),
        (None, {"all": 1}, 400),
        (None, {"id": "press_hi", "komment": "seen"}, 400),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    device: str | None, args: dict[str, Any], code: int
) -> None:
    bench = Bench()
    bench.desk.active(PUMP)
    with pytest.raises((AlarmRefused, OpRefused)) as caught:
        await ask(bench, "alarm_ack", device, **args)
    assert caught.value.code == code
    assert bench.desk.state(PUMP) == "unack_active"


async def test_what_the_table_of_states_refuses_is_409_and_told_as_refused() -> None:
    bench = Bench()
    with pytest.raises(AlarmRefused) as caught:
        await ask(bench, "alarm_ack", id=PUMP)
    assert (caught.value.code, str(caught.value)) == (409, f"{PUMP}: there is nothing to acknowledge")
    (entry,) = bench.audit.entries
    assert (entry["state"], entry["code"], entry["old"], entry["new"]) == ("rejected", 409, "normal", "normal")


async def test_all_that_wait_are_acknowledged_at_once_and_each_is_told() -> None:
    bench = Bench()
    for key in (PUMP, OVEN):
        bench.desk.active(key)
    bench.desk.clear(OVEN)
    answer = await ask(bench, "alarm_ack", all=True)
    assert {one["key"]: (one["before"], one["state"]) for one in answer["out"]["alarms"]} == {
        PUMP: ("unack_active", "ack_active"),
        OVEN: ("unack_latched", "ack_latched"),
    }
    assert sorted(entry["alarm"] for entry in bench.audit.entries) == [OVEN, PUMP]
    assert await ask(bench, "alarm_ack", all=True) == {"out": {"alarms": []}}


async def test_all_of_one_device_leaves_the_others() -> None:
    bench = Bench()
    for key in (PUMP, BOILER):
        bench.desk.active(key)
    await ask(bench, "alarm_ack", "pump", all=True)
    assert (bench.desk.state(PUMP), bench.desk.state(BOILER)) == ("ack_active", "unack_active")


async def test_a_shelved_alarm_says_until_when_and_comes_back() -> None:
    bench = Bench()
    bench.desk.active(PUMP)
    answer = await ask(bench, "alarm_shelve", id=PUMP, **{"for": HOUR}, comment="new sensor")
    assert answer["out"] == {
        "alarms": [{"key": PUMP, "before": "unack_active", "state": "shelved"}],
        "until": WALL + HOUR,
    }
    assert bench.audit.entries[0]["for_ms"] == HOUR
    bench.desk.pass_ms(HOUR)
    assert bench.desk.state(PUMP) == "unack_active"
    await ask(bench, "alarm_shelve", id=PUMP, **{"for": HOUR})
    answer = await ask(bench, "alarm_unshelve", id=PUMP)
    assert answer["out"]["alarms"][0] == {"key": PUMP, "before": "shelved", "state": "unack_active"}


@pytest.mark.parametrize("given", [{}, {"for": 0}, {"for": "1h"}, {"for": True}, {"for": 7 * DAY + 1}])
async def test_a_shelving_has_an_end_within_a_week(given: dict[str, Any]) -> None:
    with pytest.raises(OpRefused) as caught:
        await ask(Bench(), "alarm_shelve", id=PUMP, **given)
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("op", "args", "text"),
    [
        ("alarm_shelve", {"for": 1000, "komment": "x"}, "no args.komment; there are id, for, comment"),
        ("alarm_shelve", {"for": 8 * DAY}, "milliseconds from 1 to 604800000, which is 7 d"),
        ("alarm_unshelve", {"for": 1000}, "no args.for"),
        ("alarm_reset", {"all": True}, "no args.all"),
        ("alarm_out_of_service", {"on": True, "off": True}, "no args.off"),
    ],
)
async def test_an_argument_that_is_misspelt_is_refused_by_its_name(op: str, args: dict[str, Any], text: str) -> None:
    bench = Bench()
    with pytest.raises(OpRefused, match=text) as caught:
        await ask(bench, op, id=PUMP, **args)
    assert caught.value.code == 400
    assert bench.desk.told == []


async def test_a_latch_is_released_by_a_reset_after_the_ack() -> None:
    bench = Bench()
    bench.desk.active(OVEN)
    bench.desk.clear(OVEN)
    with pytest.raises(AlarmRefused, match="must be acknowledged first"):
        await ask(bench, "alarm_reset", id=OVEN)
    await ask(bench, "alarm_ack", id=OVEN)
    answer = await ask(bench, "alarm_reset", id=OVEN, comment="valve replaced")
    assert answer["out"]["alarms"] == [{"key": OVEN, "before": "ack_latched", "state": "normal"}]


async def test_out_of_service_and_back() -> None:
    bench = Bench()
    await ask(bench, "alarm_out_of_service", id=PUMP, on=True, comment="scrapped")
    assert bench.desk.state(PUMP) == "out_of_service"
    assert bench.audit.entries[-1]["on"] is True
    await ask(bench, "alarm_out_of_service", id=PUMP, on=False)
    assert bench.desk.state(PUMP) == "normal"
    with pytest.raises(OpRefused) as caught:
        await ask(bench, "alarm_out_of_service", id=PUMP)
    assert caught.value.code == 400


async def test_the_list_has_what_is_not_normal_or_all_of_one_device_or_every() -> None:
    bench = Bench()
    bench.desk.active(BOILER)
    keys = {name: [row["key"] for row in (await ask(bench, "alarm_list", device, **args))["out"]["alarms"]]
            for name, device, args in (("now", None, {}), ("all", None, {"all": True}), ("oven", "oven", {"all": True}))}  # fmt: skip
    assert keys == {"now": [BOILER], "all": [BOILER, OVEN, PUMP], "oven": [OVEN]}


async def test_reading_needs_less_than_doing() -> None:
    bench = Bench()
    reader = Caller("tom", LOCAL, "read")
    await ask(bench, "alarm_list", caller=reader)
    for op in ("alarm_ack", "alarm_shelve", "alarm_unshelve", "alarm_reset", "alarm_out_of_service"):
        with pytest.raises(OpRefused) as caught:
            await ask(bench, op, caller=reader, id=PUMP)
        assert caught.value.code == 403


async def test_before_the_rules_have_started_it_is_said_so() -> None:
    bench = Bench()
    bench.started = False
    with pytest.raises(OpRefused) as caught:
        await ask(bench, "alarm_ack", id=PUMP)
    assert caught.value.code == 503


async def test_somebody_without_a_name_does_nothing() -> None:
    bench = Bench(spec())
    bench.desk.active(PUMP)
    with pytest.raises(AlarmRefused) as caught:
        await ask(bench, "alarm_ack", caller=Caller("", CLOUD), id=PUMP)
    assert caught.value.code == 400
