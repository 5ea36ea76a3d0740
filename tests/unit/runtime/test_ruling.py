"""The rules engine in its place: journal, kept rows, restarts through a real store, issues, faults."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from gateway.model import Access, Quality, TagSpec, ValueType
from gateway.rulebook import AlarmSpec, Assignment, RuleBook, RuleSpec, Step, VirtualSpec
from rules.alarms.refusal import AlarmRefused
from tests.support.rulings import RuledGateway

DEVICES = {
    "boiler": [
        TagSpec("temperature", ValueType.FLOAT32, None),
        TagSpec("double", ValueType.FLOAT64, None, virtual=VirtualSpec("value", "temperature * 2", "boiler")),
    ],
    "pump": [TagSpec("run", ValueType.BOOL, None)],
    "plant": [
        TagSpec("mode", ValueType.INT32, None, access=Access.READ_WRITE, virtual=VirtualSpec("memory")),
        TagSpec("starts", ValueType.UINT32, None, virtual=VirtualSpec("counts", "{pump.run}", "plant")),
    ],
}
HIGH = AlarmSpec(
    "high", "boiler", on="{boiler.temperature} > 80", off="{boiler.temperature} < 75", device="boiler",
    tag="temperature", text="Boiler at {temperature:.0f}", priority="high",
)  # fmt: skip
HOT = RuleSpec("hot", when="boiler.temperature > 80", for_s=10, start=(Step("log", text="hot"),))
SETS = RuleSpec("sets", when="boiler.temperature > 90", start=(Step("set", assign=(Assignment("plant.mode", 3),)),))
BOOK = RuleBook(rules=(HOT, SETS), alarms=(HIGH,))


@pytest.fixture
async def gateway(tmp_path):
    made = RuledGateway(tmp_path, DEVICES)
    await made.start(BOOK)
    yield made
    if not made.store._closed:
        await made.stop()


def value(gateway, name):
    return gateway.latest.current(gateway.tags.find(name)).value


async def test_an_alarm_and_its_row_are_in_one_transaction(gateway):
    gateway.publish("boiler", temperature=85.0)
    await gateway.store.commit()
    (entry,) = gateway.entries("alarm")
    assert (entry["id"], entry["device"], entry["tag"], entry["state"]) == (
        "high",
        "boiler",
        "temperature",
        "unack_active",
    )
    assert entry["text"] == "Boiler at 85"
    assert entry["inputs"][0]["tag"] == "boiler.temperature"
    assert gateway.store.table("alarm").get("high@boiler")["state"] == "unack_active"


async def test_an_alarm_that_blocks_updates_does_so_while_it_is_active_and_not_put_away(gateway):
    blocking = replace(HIGH, id="batch", blocks_updates=True)
    gateway.ruling.reload(RuleBook(alarms=(HIGH, blocking)))
    assert gateway.ruling.blocking_updates() == []
    gateway.publish("boiler", temperature=85.0)
    assert gateway.ruling.blocking_updates() == ["batch@boiler"]
    gateway.ruling.order(lambda book, now: book.ack("batch@boiler", "ann", "", now))
    assert gateway.ruling.blocking_updates() == ["batch@boiler"], "seen is not over"
    gateway.ruling.order(lambda book, now: book.shelve("batch@boiler", 3600, "ann", "", now))
    assert gateway.ruling.blocking_updates() == []
    gateway.ruling.order(lambda book, now: book.unshelve("batch@boiler", "ann", "", now))
    assert gateway.ruling.blocking_updates() == ["batch@boiler"]
    gateway.publish("boiler", temperature=20.0)
    assert gateway.ruling.blocking_updates() == [], "over, though nobody acknowledged it again"


async def test_computed_values_are_tags_like_others(gateway):
    gateway.publish("boiler", temperature=21.0)
    assert value(gateway, "boiler.double") == 42.0
    await gateway.store.commit()
    readings = list(gateway.store.read_history("telemetry", since_ms=0, limit=1000))
    assert sum(part.n for part in readings) >= 2


async def test_a_delay_goes_on_after_a_kill(gateway, tmp_path):
    gateway.publish("boiler", temperature=85.0)
    await gateway.store.commit()
    await gateway.clock.advance(5)
    gateway.publish("boiler", temperature=86.0)
    await gateway.store.commit()
    gateway.kill()
    gateway.told.actions.clear()
    await gateway.clock.advance(3)
    await gateway.start(BOOK)
    await gateway.clock.advance(60)
    assert gateway.told.actions == []
    gateway.publish("boiler", temperature=85.0)
    await gateway.clock.advance(4.9)
    assert gateway.told.actions == []
    await gateway.clock.advance(0.2)
    assert [action.text for action in gateway.told.actions] == ["hot"]
    assert gateway.ruling.alarms()[0]["state"] == "unack_active"


async def test_totals_and_memory_tags_outlive_a_kill_before_the_first_checkpoint(gateway):
    for run in (False, True, False, True):
        await gateway.clock.advance(1)
        gateway.publish("pump", run=run)
    gateway.publish("boiler", temperature=95.0)
    assert value(gateway, "plant.mode") == 3
    await gateway.store.commit()
    gateway.kill()
    await gateway.start(BOOK)
    assert value(gateway, "plant.mode") == 3
    assert gateway.latest.current(gateway.tags.find("plant.mode")).quality == Quality.GOOD
    gateway.publish("pump", run=False)
    assert value(gateway, "plant.starts") == 2


async def test_totals_go_on_from_the_last_snapshot_and_the_journal_after_it(gateway):
    gateway.publish("pump", run=False)
    gateway.publish("pump", run=True)
    gateway.ruling.checkpoint()
    await gateway.clock.advance(1)
    gateway.publish("pump", run=False)
    await gateway.clock.advance(1)
    gateway.publish("pump", run=True)
    await gateway.store.commit()
    gateway.kill()
    await gateway.clock.advance(5)
    await gateway.start(BOOK)
    gateway.publish("pump", run=False)
    gateway.publish("pump", run=True)
    assert value(gateway, "plant.starts") == 3


async def test_issues_become_alarms_and_those_that_ended_unseen_are_cleared(gateway):
    gateway.health.set("uplink_offline", "cloud", "no broker")
    (row,) = gateway.ruling.alarms()
    assert (row["id"], row["entity"], row["state"]) == ("uplink_offline", "cloud", "unack_active")
    await gateway.stop()
    await gateway.start(BOOK)
    assert [row["state"] for row in gateway.ruling.alarms()] == ["unack_active"]
    await gateway.clock.advance(61)
    assert [row["state"] for row in gateway.ruling.alarms()] == ["unack_rtn"]


async def test_maintenance_suppresses_the_alarms_of_its_device(gateway):
    gateway.maintenance.begin("boiler", 3600, "otto", "valve")
    gateway.publish("boiler", temperature=85.0)
    assert [row["state"] for row in gateway.ruling.alarms() if row["id"] == "high"] == ["suppressed"]
    gateway.maintenance.end("boiler", "otto")
    assert [row["state"] for row in gateway.ruling.alarms() if row["id"] == "high"] == ["unack_active"]


async def test_orders_are_refused_with_their_code(gateway):
    with pytest.raises(AlarmRefused) as refused:
        gateway.ruling.order(lambda book, now: book.ack("none@here", "otto", "", now))
    assert refused.value.code == 404


async def test_a_forced_computed_tag_keeps_its_value_until_the_force_ends(gateway):
    gateway.publish("boiler", temperature=21.0)
    gateway.forces.set(gateway.tags.find("boiler.double"), 7.0, 60, "otto", "test")
    gateway.publish("boiler", temperature=22.0)
    assert value(gateway, "boiler.double") == 7.0
    gateway.forces.release("boiler.double", "otto")
    assert value(gateway, "boiler.double") == 44.0


async def test_a_fault_of_the_engine_stops_no_driver(gateway):
    def broken(*_args):
        raise RuntimeError("planted")

    gateway.ruling.engine.on_batch = broken
    gateway.publish("boiler", temperature=85.0)
    assert value(gateway, "boiler.temperature") == 85.0
    assert [issue.id for issue in gateway.health.open()] == ["rules_failed"]


async def test_a_chattering_alarm_is_grouped_into_one_entry_per_commit(gateway):
    for n in range(40):
        gateway.publish("boiler", temperature=85.0 if n % 2 == 0 else 20.0)
        await gateway.clock.advance(0.01)
    await gateway.clock.advance(2)
    await gateway.store.commit()
    entries = gateway.entries("alarm")
    kinds = [entry["kind"] for entry in entries]
    assert kinds.count("chattering") == 1
    assert sum(entry.get("n", 1) for entry in entries) == 40


async def test_a_rule_that_fires_all_the_time_does_not_flood_the_journal(gateway):
    gateway.ruling.reload(RuleBook(rules=(RuleSpec("fast", when="boiler.temperature > 80"),)))
    for n in range(200):
        gateway.publish("boiler", temperature=85.0 if n % 2 == 0 else 20.0)
    await gateway.store.commit()
    assert len([entry for entry in gateway.entries("event") if entry["kind"] == "rule"]) == 30
    await gateway.clock.advance(61)
    gateway.publish("boiler", temperature=85.0)
    await gateway.store.commit()
    assert [entry for entry in gateway.entries("event") if entry["kind"] == "rule"][-1]["left_out"] == 170


async def test_a_reload_gives_new_rules_the_values_that_are_known(gateway):
    gateway.publish("pump", run=True)
    gateway.ruling.reload(RuleBook(rules=(RuleSpec("runs", when="pump.run", start=(Step("log", text="runs"),)),)))
    assert [action.text for action in gateway.told.actions] == ["runs"]


async def test_a_number_that_cannot_be_stored_ends_nothing(gateway):
    gateway.effects.keep("memory/plant.mode", [10**30, 1])
    gateway.publish("boiler", temperature=85.0)
    await gateway.store.commit()
    assert gateway.ruling.alarms()[0]["state"] == "unack_active"


async def test_rules_that_cannot_start_leave_the_rest_running(gateway, monkeypatch):
    await gateway.stop()

    def broken(*_args, **_more):
        raise RecursionError("planted")

    monkeypatch.setattr("gateway.runtime.ruling.Engine", broken)
    await gateway.start(BOOK)
    gateway.publish("boiler", temperature=85.0)
    assert value(gateway, "boiler.temperature") == 85.0
    assert "rules_failed" in {issue.id for issue in gateway.health.open()}


async def test_a_clock_that_was_set_back_before_a_kill_adds_nothing_to_totals(gateway):
    gateway.publish("pump", run=False)
    gateway.publish("pump", run=True)
    gateway.ruling.checkpoint()
    await gateway.store.commit()
    await gateway.clock.advance(10)
    gateway.clock.step_wall(-7200)
    gateway.store.observe_clock()
    gateway.publish("pump", run=False)
    gateway.publish("pump", run=True)
    await gateway.store.commit()
    gateway.kill()
    await gateway.clock.advance(5)
    await gateway.start(BOOK)
    gateway.publish("pump", run=False)
    gateway.publish("pump", run=True)
    assert value(gateway, "plant.starts") == 3


async def test_a_window_that_an_apply_brings_is_filled_from_the_journal(gateway):
    gateway.publish("boiler", temperature=60.0)
    for _ in range(12):
        await gateway.clock.advance(10)
        gateway.publish("boiler", temperature=60.0)
    gateway.publish("boiler", temperature=200.0)
    await gateway.clock.advance(3)
    rule = RuleSpec("mean", when="avg(boiler.temperature, 1m) > 100", start=(Step("log", text="hot"),))
    await gateway.ruling.switch(RuleBook(rules=(rule,)))
    assert gateway.told.actions == []  # 60 for 57 s and 200 for 3 s
    window = next(iter(gateway.ruling.engine.graph.binder.windows.values()))
    assert window.avg() == pytest.approx((60 * 57 + 200 * 3) / 60)
    await gateway.clock.advance(20)
    assert [action.text for action in gateway.told.actions] == ["hot"]


async def test_readings_that_come_while_windows_are_filled_are_not_lost(gateway):
    await gateway.clock.advance(120)
    for _ in range(100):
        gateway.publish("boiler", temperature=1.0)
        await gateway.clock.advance(1)
    rule = RuleSpec("sum", when="count(boiler.temperature, 1m) > 1000", start=(Step("log", text="many"),))
    switching = asyncio.ensure_future(gateway.ruling.switch(RuleBook(rules=(rule,))))
    while not switching.done():
        await asyncio.sleep(0)
        if gateway.ruling._filling is not None:
            gateway.publish("boiler", temperature=2.0)
            break
    await switching
    window = next(iter(gateway.ruling.engine.graph.binder.windows.values()))
    assert window.last() == 2.0


async def test_an_engine_that_could_not_start_starts_with_the_next_configuration(gateway, monkeypatch):
    await gateway.stop()
    with monkeypatch.context() as patch:
        patch.setattr("gateway.runtime.ruling.Engine", lambda *_args, **_more: 1 / 0)
        await gateway.start(BOOK)
    assert gateway.ruling.alarms() == []
    await gateway.ruling.switch(BOOK)
    gateway.publish("boiler", temperature=85.0)
    assert [row["id"] for row in gateway.ruling.alarms()] == ["high"]
    assert gateway.health.open() == []


async def test_the_alarm_of_an_issue_says_what_the_issue_says_now(gateway):
    gateway.health.set("device_offline", "boiler", "no answer")
    gateway.health.set("device_offline", "boiler", "answers again; came back once lately")
    assert [row["text"] for row in gateway.ruling.alarms()] == ["answers again; came back once lately"]
