"""What the journal gets of alarms (protocol.md 1.3)."""

from __future__ import annotations

import json
import math

import pytest

from rules.alarms.entry import ChatterGroup, entry_of
from tests.unit.rules.alarm_kit import WALL, Desk, spec


def test_the_entry_of_an_alarm_is_the_example_of_the_protocol_and_what_happened() -> None:
    desk = Desk(spec(entity="line1-plc01"))
    desk.active("press_hi@line1-plc01", t_cond=WALL - 2000, t_active=WALL, value=9.7)
    assert entry_of(desk.last) == {
        "ts": WALL,
        "kind": "alarm",
        "id": "press_hi",
        "device": "line1-plc01",
        "tag": "pressure",
        "state": "unack_active",
        "priority": "high",
        "t_cond": WALL - 2000,
        "t_active": WALL,
        "value": 9.7,
        "text": "Pressure above 9.5 bar",
        "event": "active",
    }


def test_what_else_there_is_to_say_stands_in_it_and_only_that() -> None:
    desk = Desk(spec(group="trip", action="Open the bypass"))
    desk.active(value=0)
    first = entry_of(desk.last)
    assert (first["first_out"], first["group"], first["action"], first["value"]) == (True, "trip", "Open the bypass", 0)
    desk.bad()
    desk.ack(comment="seen")
    ack = entry_of(desk.last)
    assert (ack["event"], ack["who"], ack["comment"], ack["quality"]) == ("ack", "anna", "seen", "bad/comm")
    assert not {"first_out", "action", "until"} & set(ack)
    desk.shelve(60)
    assert entry_of(desk.last)["until"] == WALL + 60_000


def test_the_normal_alarm_that_somebody_shelves_has_no_times_and_no_value() -> None:
    desk = Desk()
    desk.shelve()
    assert not {"t_cond", "t_active", "value", "quality"} & set(entry_of(desk.last))


@pytest.mark.parametrize(("entity", "device", "expected"), [
    ("pump", "pump", {"device": "pump"}),
    ("gateway", "", {"entity": "gateway"}),
    ("line1", "pump", {"device": "pump", "entity": "line1"}),
])  # fmt: skip
def test_an_entry_says_whose_alarm_it_is(entity: str, device: str, expected: dict[str, str]) -> None:
    desk = Desk(spec(entity=entity, device=device, tag=""))
    desk.active(desk.specs[0].key)
    entry = entry_of(desk.last)
    assert {name: entry[name] for name in ("device", "entity", "tag") if name in entry} == expected


@pytest.mark.parametrize(("value", "shown"), [
    (2**53, str(2**53)), (-(2**53), str(-(2**53))), (2**53 - 1, 2**53 - 1), (True, True), ("on", "on"),
    (b"\x00\xff", "AP8="), (math.nan, None), (-math.inf, None), (1.5, 1.5),
])  # fmt: skip
def test_a_value_is_written_as_every_reader_takes_it(value: object, shown: object) -> None:
    desk = Desk()
    desk.active(value=value)
    entry = entry_of(desk.last)
    assert entry["value"] == shown
    assert type(entry["value"]) is type(shown)
    json.dumps(entry, allow_nan=False)
    assert desk.book.rows(desk.now)[0]["value"] == shown


def chatter(desk: Desk, group: ChatterGroup, times: int) -> list[dict]:
    """Toggle an alarm each second; the entries that were written at once."""
    entries = []
    for _ in range(times):
        if desk.state() == "unack_active":
            desk.clear(value=1)
        else:
            desk.active(value=9)
        entries += group.take(desk.last)
        desk.pass_ms(1000)
    return entries


def test_what_a_chattering_alarm_does_between_two_commits_is_one_entry() -> None:
    desk, group = Desk(), ChatterGroup()
    assert [entry["kind"] for entry in chatter(desk, group, 8)] == ["alarm"] * 5
    (entry,) = group.flush()
    assert entry == {
        "ts": WALL + 7000,
        "kind": "chattering",
        "id": "press_hi",
        "device": "pump",
        "tag": "pressure",
        "state": "unack_rtn",
        "priority": "high",
        "text": "Pressure above 9.5 bar",
        "n": 3,
        "first": WALL + 5000,
        "last": WALL + 7000,
        "count": 3,
        "transitions": [
            [WALL + 5000, "unack_rtn", 1],
            [WALL + 6000, "unack_active", 9],
            [WALL + 7000, "unack_rtn", 1],
        ],
    }
    assert group.flush() == []


def test_no_transition_is_lost_and_none_is_counted_twice() -> None:
    desk, group = Desk(), ChatterGroup()
    entries = []
    for times in (7, 1, 4, 20, 2):
        entries += chatter(desk, group, times)
        entries += group.flush()
    assert sum(entry.get("n", 1) for entry in entries) == len(desk.told) == 34
    folded = [entry for entry in entries if entry["kind"] == "chattering"]
    assert folded[-1]["count"] == sum(entry["n"] for entry in folded) == 29
    times = [one[0] for entry in entries for one in entry.get("transitions", [[entry["ts"]]])]
    assert times == sorted(times)


def test_what_a_person_did_is_not_folded_and_comes_after_what_was_before_it() -> None:
    desk, group = Desk(), ChatterGroup()
    chatter(desk, group, 9)
    desk.ack(comment="enough")
    assert desk.last.chattering
    before, ack = group.take(desk.last)
    assert (before["kind"], before["n"]) == ("chattering", 4)
    assert (ack["kind"], ack["who"], ack["comment"]) == ("alarm", "anna", "enough")
    assert group.flush() == []


def test_the_count_begins_anew_once_the_alarm_was_quiet() -> None:
    desk, group = Desk(), ChatterGroup()
    chatter(desk, group, 8)
    desk.pass_ms(60_000)
    entries = chatter(desk, group, 7)
    assert [entry["kind"] for entry in entries] == ["chattering"] + ["alarm"] * 5
    (entry,) = group.flush()
    assert (entry["n"], entry["count"]) == (2, 2)


def test_each_alarm_has_an_entry_of_its_own() -> None:
    desk, group = Desk(spec("a"), spec("b")), ChatterGroup()
    for _ in range(4):
        for key in ("b@pump", "a@pump"):
            desk.active(key)
            group.take(desk.last)
            desk.clear(key)
            group.take(desk.last)
    assert [(entry["id"], entry["n"]) for entry in group.flush()] == [("b", 3), ("a", 3)]
