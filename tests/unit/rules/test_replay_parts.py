"""The parts of a replay: the timeline over boots, what goes together, whose orders are given again, what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Quality, Tag, ValueType
from gateway.rulebook import AlarmSpec, RuleBook, RuleSpec, Step, VirtualSpec
from rules.replay import Effect, Entry, NotAnEntry, Outcomes, Replay, compare, entry_from
from rules.replay.comparing import effects_in, effects_of
from rules.replay.entries import entry_to
from rules.replay.orders import Order, order_from
from rules.replay.timeline import Timeline
from tests.unit.rules.replay_day import spec, write

WALL = 1_800_000_000_000


# --- the timeline


def test_within_a_boot_the_boot_clock_is_the_line_and_never_runs_back() -> None:
    line = Timeline()
    assert line.place("a", 5_000, 100) == (5_000, 100, False)
    assert line.place("a", 6_000, 900) == (6_000, 900, False)
    assert line.place("a", 5_500, 900) == (6_000, 900, False)
    assert line.at_wall(7_000) == 6_100
    assert line.at_wall(10) == 6_000


def test_another_boot_goes_on_by_the_wall_clock_and_keeps_its_stamps() -> None:
    line = Timeline()
    line.place("a", 5_000, WALL)
    place = line.place("b", 30, WALL + 65_000)  # a minute after, by the wall clock
    assert place.another_boot
    assert place.at == 65_030
    assert place.at + place.offset == WALL + 65_030
    after = line.place("b", 130, WALL + 65_000)
    assert (after.at - place.at, after.another_boot) == (100, False)


def test_a_boot_with_a_clock_of_1970_goes_on_where_the_last_one_ended() -> None:
    line = Timeline()
    line.place("a", 5_000, WALL)
    place = line.place("b", 30, 0)
    assert (place.at, place.at + place.offset) == (5_000, 30)
    after = line.place("b", 1_030, WALL)  # the clock was set
    assert (after.at, after.at + after.offset) == (6_000, WALL + 1_030)


# --- entries

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())


@given(st.lists(st.tuples(VALUES, st.sampled_from(list(Quality))), max_size=4))
def test_an_entry_comes_back_from_json(rows: list[tuple[Any, Quality]]) -> None:
    tags = tuple(f"t{i}" for i in range(len(rows)))
    quality = tuple(int(code) for _, code in rows) if any(code for _, code in rows) else None
    entry = Entry(5, 6, "b", 7, "dev", tags, tuple(value for value, _ in rows), quality)
    assert entry_from({**entry_to(entry), "seq": 1, "epoch": 2}) == entry


@pytest.mark.parametrize(
    "change", [{"values": [1, 2]}, {"quality": ["fine"]}, {"quality": []}, {"at": "x"}, {"values": [{"a": 1}]}]
)
def test_anything_else_is_no_entry(change: dict[str, Any]) -> None:
    with pytest.raises(NotAnEntry):
        entry_from({**entry_to(Entry(5, 6, "b", 7, "dev", ("t",), (1,))), **change})


# --- what goes together


def effect(ts: int, value: Any = True, who: str = "r", on: str = "pump.run", kind: str = "action") -> Effect:
    return Effect(ts, kind, who, "write", on, value)


def test_effects_pair_by_name_value_and_time_each_once() -> None:
    here = [effect(ts, kind="alarm") for ts in (1000, 5000, 9000, 20_000)]
    real = [effect(ts, kind="alarm") for ts in (1003, 5900, 5950)] + [effect(20_100, value=False, kind="alarm")]
    found = compare(here, real)
    assert [(a.ts, b.ts) for a, b in found.matched] == [(1000, 1003), (5000, 5900)]
    assert [one.ts for one in found.only_here] == [9000, 20_000]
    assert [one.ts for one in found.only_real] == [5950, 20_100]
    assert not found.equal
    assert compare(here, here).equal


def test_the_entry_of_an_action_stands_at_its_end() -> None:
    assert compare([effect(1000)], [effect(25_000)]).equal
    assert not compare([effect(1000, kind="alarm")], [effect(25_000, kind="alarm")]).equal
    assert not compare([effect(25_000)], [effect(1000)]).equal


def test_what_began_before_the_time_that_is_asked_for_is_not_missed_in_it() -> None:
    found = compare([effect(1000), effect(9000)], [effect(1800), effect(9100), effect(60_000)]).within(1500, 20_000)
    assert (len(found.matched), found.only_here, found.only_real) == (1, (), ())


@given(st.lists(st.integers(0, 100_000)), st.lists(st.integers(0, 100_000)), st.integers(1, 2000))
def test_every_effect_is_told_exactly_once(here: list[int], real: list[int], tolerance: int) -> None:
    found = compare([effect(ts, kind="alarm") for ts in here], [effect(ts, kind="alarm") for ts in real], tolerance)
    assert sorted([a.ts for a, _ in found.matched] + [one.ts for one in found.only_here]) == sorted(here)
    assert sorted([b.ts for _, b in found.matched] + [one.ts for one in found.only_real]) == sorted(real)
    assert all(abs(a.ts - b.ts) <= tolerance for a, b in found.matched)


@pytest.mark.parametrize(
    ("left", "right", "same"), [(1, 1.0, True), (1, True, False), ("1", 1, False), (0.1, 0.2, False)]
)
def test_values_are_the_same_as_on_a_wire(left: Any, right: Any, same: bool) -> None:
    assert compare([effect(0, left)], [effect(0, right)]).equal is same


def test_what_is_an_effect_and_what_is_not() -> None:
    line = {"kind": "action", "ts": 5, "rule": "r", "what": "write", "values": {"a.b": 1, "c.d": 2}}
    assert [(one.on, one.value) for one in effects_of(line)] == [("a.b", 1), ("c.d", 2)]
    assert effects_of({**line, "dry_run": True}) == []
    assert effects_of({"kind": "rule", "ts": 5, "rule": "r", "what": "started"}) == []
    row = {"kind": "alarm", "ts": 5, "id": "hot", "device": "boiler", "event": "active", "state": "unack_active"}
    (alarm,) = effects_of(row)
    assert (alarm.who, alarm.value) == ("hot@boiler", "active")
    assert effects_in(row) == [alarm]
    assert effects_in({**row, "entity": "gateway"})[0].who == "hot@gateway"
    assert effects_of({**row, "event": "ack", "who": "anna"}) == []
    assert effects_in({**row, "event": "ack", "who": "anna"}) == []


def test_real_entries_of_rules_and_of_chattering_alarms_are_effects() -> None:
    audit = {"kind": "audit", "ts": 5, "who": "rule:r", "what": "write", "device": "pump", "tag": "run", "new": True}
    assert effects_in(audit) == [effect(5)]
    assert effects_in({**audit, "who": "anna"}) == []
    assert effects_in({**audit, "state": "dry_run"}) == []
    edit = {"kind": "audit", "ts": 5, "who": "rule:r", "what": "shadow_set", "device": "d", "path": "a.b", "new": 1}
    assert [(one.what, one.on, one.value) for one in effects_in(edit)] == [("desired", "d.a/b", 1)]
    refused = {"kind": "audit", "ts": 5, "who": "rule:r", "what": "write", "values": ["pump.run=True", "p.s='x'"]}
    assert [(one.on, one.value) for one in effects_in(refused)] == [("pump.run", True), ("p.s", "x")]
    assert effects_in({**audit, "dry_run": True}) == []
    assert effects_in({"kind": "clock", "ts": 5}) == []
    folded = {
        "kind": "chattering",
        "ts": 9,
        "id": "hot",
        "device": "boiler",
        "transitions": [[5, "normal", 1], [9, "shelved", 2]],
    }
    assert [(one.ts, one.value) for one in effects_in(folded)] == [(5, "over"), (9, "shelved")]


# --- orders


def test_only_what_people_did_is_an_order() -> None:
    row = {
        "kind": "alarm",
        "ts": 1000,
        "id": "hot",
        "device": "boiler",
        "event": "shelve",
        "who": "anna",
        "until": 61_000,
    }
    assert order_from(row) == Order(1000, "shelve", "hot@boiler", "anna", seconds=60)
    assert order_from({**row, "event": "ack", "until": 0, "comment": "x"}) == Order(
        1000, "ack", "hot@boiler", "anna", "x"
    )
    assert order_from({**row, "who": ""}) is None
    assert order_from({**row, "event": "active"}) is None
    assert order_from({"kind": "chattering", "ts": 5, "id": "hot"}) is None


# --- the replay

SPECS = [
    ("boiler", spec("t")),
    ("boiler", spec("double", virtual=VirtualSpec("value", "boiler.t * 2"))),
    ("notes", spec("set_by_rule", ValueType.INT32, VirtualSpec("memory", initial=0))),
    ("notes", spec("by_hand", ValueType.INT32, VirtualSpec("memory", initial=0))),
]
TAGS = [Tag(device, one.path, slot, slot + 1, one) for slot, (device, one) in enumerate(SPECS)]
BOOK = RuleBook(
    rules=(
        RuleSpec("hot", when="boiler.t > 80", for_s=10, start=(write("notes.set_by_rule", 1, kind="set"),)),
        RuleSpec("hand", when="notes.by_hand == 1", start=(Step("log", text="hand"),)),
        RuleSpec("twice", when="boiler.double > 160", start=(Step("log", text="double"),)),
    ),
    alarms=(AlarmSpec("hot", "boiler", "t > 80", "t < 75", "boiler", "t"),),
)


def entry(at: int, device: str, tag: str, value: Any, *, boot: str = "a", offset: int = WALL, ts: int = 0) -> Entry:
    return Entry(at, offset, boot, ts or at + offset, device, (tag,), (value,))


def run(*entries: Entry) -> tuple[Replay, list[tuple[int, str]]]:
    rows: list[dict[str, Any]] = []
    replay = Replay(BOOK, TAGS, Outcomes(rows.append))
    for one in entries:
        replay.batch(one)
    return replay, [(row["at"], row.get("what", row.get("state", ""))) for row in rows]


def test_what_the_engine_makes_itself_is_made_again_and_not_read() -> None:
    replay, came = run(
        entry(1000, "boiler", "t", 85.0),
        entry(1000, "boiler", "double", 10.0),
        entry(2000, "notes", "set_by_rule", 5),
        entry(3000, "notes", "by_hand", 1),
        entry(4000, "elsewhere", "x", 1),
    )
    assert (replay.played.own, replay.played.unknown, replay.played.batches) == (2, 1, 2)
    assert (1000, "log") in came
    assert (3000, "log") in came


def test_delays_end_at_their_own_time_between_two_readings() -> None:
    _, came = run(entry(1000, "boiler", "t", 85.0), entry(60_000, "boiler", "t", 86.0))
    assert (11_000, "set") in came


def test_a_value_that_is_only_told_again_is_no_reading() -> None:
    first = entry(1000, "boiler", "t", 70.0)
    replay, _ = run(first, entry(500_000, "boiler", "t", 70.0, ts=first.ts), entry(500_001, "boiler", "t", 70.0))
    assert (replay.played.repeated, replay.played.batches) == (1, 2)


def test_after_another_boot_nothing_is_good_until_it_is_read() -> None:
    replay, came = run(
        entry(1000, "boiler", "t", 85.0),
        entry(30, "notes", "by_hand", 0, boot="b", offset=WALL + 60_000),
        entry(25_000, "boiler", "t", 86.0, boot="b", offset=WALL + 60_000),
    )
    assert replay.played.boots == 1
    assert [what for at, what in came if at < 80_000 and what == "set"] == []  # held while nobody watched
    assert replay.engine is not None
    assert replay.engine.columns.quality[0] == 0
    replay.until(replay.wall + 30_000)
    assert replay.engine.columns.values[2] == 1


@pytest.mark.parametrize(("away_s", "since"), [(50, 1000), (70, 71_000)])
def test_a_window_narrower_than_the_time_to_another_boot_is_watched_anew(away_s: int, since: int) -> None:
    book = RuleBook(rules=(RuleSpec("mean", when="avg(boiler.t, 60s) > 80", start=(Step("log", text="mean"),)),))
    replay = Replay(book, TAGS, Outcomes(lambda _row: None))
    replay.batch(entry(1000, "boiler", "t", 85.0))
    replay.batch(entry(30, "boiler", "t", 85.0, boot="b", offset=WALL + 1000 * away_s + 970))
    assert replay.engine is not None
    assert [window.since for window in replay.engine.graph.binder.windows.values()] == [since]


def test_orders_before_the_first_reading_and_for_other_alarms_are_counted() -> None:
    replay, _ = run()
    replay.order(Order(WALL, "ack", "hot@boiler", "anna"))
    assert (replay.played.refused, replay.wall) == (1, 0)
    replay.batch(entry(1000, "boiler", "t", 85.0))
    replay.order(Order(WALL + 2000, "ack", "hot@boiler", "anna"))
    replay.order(Order(WALL + 3000, "ack", "none@boiler", "anna"))
    assert replay.played.refused == 2
    assert replay.engine is not None
    assert replay.engine.alarms.state("hot@boiler") == "ack_active"
