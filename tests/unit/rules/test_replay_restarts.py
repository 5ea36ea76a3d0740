"""A replay over restarts of the gateway, and over work on devices, is what the gateway did."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.cli.replayed import Replayed, _notes
from gateway.cli.replaying import Feeding, followed_by, happenings
from gateway.model import Quality, Value
from gateway.rulebook import AlarmSpec, Every, RuleBook, RuleSpec
from rules.replay import Comparison, Entry, Outcomes, Replay
from rules.replay.comparing import effects_in, effects_of
from rules.replay.entries import entry_to
from rules.replay.outcomes import action_line, alarm_line, rule_line
from rules.replay.player import Played
from rules.replay.restarts import Restart, Upkeep, upkeep_from
from tests.unit.rules.engine_world import START, WALL, World, computed, delay, memory, write

BOOT = "b1"
RULES = (
    RuleSpec("hot", when="boiler.temperature > 80", for_s=10, until="boiler.temperature < 70",
             start=(write("pump.run", True), delay(20), write("pump.speed", 5)), end=(write("pump.run", False),),
             alarm=AlarmSpec("hot", "gateway", rule="hot", text="at {boiler.temperature:.1f}")),
    RuleSpec("mean", when="avg(boiler.temperature, 30s) > 75", start=(write("plant.turn", 1, kind="set"),)),
    RuleSpec("tick", every=Every(period_s=45), start=(write("plant.turn", 2, kind="set"),)),
    RuleSpec("latched", when="hysteresis(boiler.pressure, 2, 4)", on_bad="reset", start=(write("pump.mode", "x"),)),
)  # fmt: skip
ALARMS = (
    AlarmSpec("high", "boiler", on="{temperature} > 82", off="{temperature} < 78", device="boiler", tag="temperature",
              on_delay_s=5, off_delay_s=7),
    AlarmSpec("low", "boiler", on="{pressure} < 1", device="boiler", tag="pressure", latched=True),
)  # fmt: skip
MORE = {"plant": [memory("turn"), computed("hours", "boiler.temperature > 60", how="hours")]}


class Site(World):
    """A world whose life is written down as the journal does it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.events: list[Any] = []
        self.people: list[Any] = []
        super().__init__(*RULES, alarms=ALARMS, more=MORE)

    def read(self, quality: Quality = Quality.GOOD, ts: int | None = None, **values: Value) -> None:
        names = [name.partition("_") for name in values]
        codes = None if quality == Quality.GOOD else (int(quality),) * len(names)
        wall = self.at + self.offset
        paths = tuple(path for _, _, path in names)
        self.entries.append(Entry(self.at, self.offset, BOOT, wall, names[0][0], paths, tuple(values.values()), codes))
        super().read(quality, ts, **values)

    def begin_again(self, down_s: float, maintained: tuple[str, ...] = ()) -> None:
        alive = self.at + self.offset
        self.restart(down_s=down_s, maintained=maintained)
        self.began.append({"kind": "start", "ts": self.at + self.offset, "boot": BOOT, "alive": alive})

    began: list[dict[str, Any]]


def lived(seed: int) -> Site:
    """Half an hour with restarts."""
    chance = random.Random(seed)
    site = Site()
    site.began = []
    temperature = 70.0
    for _ in range(400):
        temperature = min(95.0, max(60.0, temperature + chance.gauss(0, 4)))
        if chance.random() < 0.05:
            site.read(Quality.BAD_COMM, boiler_temperature=None)
        else:
            site.read(boiler_temperature=temperature, boiler_pressure=chance.uniform(0, 5))
        if chance.random() < 0.05:
            site.begin_again(chance.choice((0.5, 3.0, 40.0, 900.0)))
        site.pass_time(chance.choice((0.25, 1.0, 4.0, 11.0)))
    return site


def lines(site: Site) -> list[dict[str, Any]]:
    found = [action_line(one) for one in site.actions] + [alarm_line(one) for one in site.transitions]
    return sorted((*found, *(rule_line(one) for one in site.events)), key=_order)


def _order(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["at"], line["kind"], str(line)


def replayed(site: Site, people: Any = ()) -> tuple[Replay, list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    run = Replay(site.book, site.tags, Outcomes(rows.append))
    feeding = Feeding(run, site.began, people, 0)
    feeding.run(entry_to(one) for one in site.entries)
    feeding.finish(site.at + site.offset)
    return run, sorted(rows, key=_order)


@pytest.mark.parametrize("seed", range(6))
def test_a_replay_over_restarts_is_what_the_gateway_did(seed: int) -> None:
    site = lived(seed)
    run, came = replayed(site)
    assert run.played.starts == len(site.began) > 5
    assert run.played.boots == 0
    assert came == lines(site)
    assert {line["kind"] for line in came} == {"action", "alarm", "rule"}


def test_a_delay_stands_still_from_the_last_reading_until_the_next_one() -> None:
    site = Site()
    site.began = []
    site.read(boiler_temperature=85.0)
    site.pass_time(4)
    site.read(boiler_temperature=85.5)
    site.begin_again(300)
    site.pass_time(2)
    site.read(boiler_temperature=86.0)
    site.pass_time(10)
    _, came = replayed(site)
    started = next(line["at"] for line in came if line["kind"] == "rule" and line["what"] == "started")
    assert started == START + 306_000 + 6_000


def test_a_start_of_another_boot_comes_between_the_boots_even_if_its_clock_is_behind() -> None:
    book = RuleBook(rules=(RULES[0],))
    rows: list[dict[str, Any]] = []
    run = Replay(book, World().tags, Outcomes(rows.append))
    feeding = Feeding(run, [{"kind": "start", "ts": WALL + 5_000, "boot": "b2"}], (), 0)
    told = [(START, WALL - START, BOOT), (START + 9_000, WALL - START, BOOT), (50, WALL + 6_000, "b2")]
    feeding.run(
        entry_to(Entry(at, offset, boot, at + offset, "boiler", ("temperature",), (85.0,))) for at, offset, boot in told
    )
    assert (run.played.starts, run.played.boots) == (1, 0)
    run.until(run.wall + 1_500)
    assert [row["what"] for row in rows if row["kind"] == "rule"] == ["started"]
    assert rows[0]["at"] == START + 9_000 + 1_000  # nine seconds before the start count


def test_what_was_not_possible_before_the_time_that_is_asked_for_is_not_told() -> None:
    site = Site()
    site.began = []
    site.read(boiler_temperature=60.0)
    site.pass_time(100)
    site.read(boiler_temperature=60.0)
    rows = [{"kind": "alarm", "ts": WALL + ms, "id": "high", "device": "boiler", "event": "ack", "who": "anna"}
            for ms in (1000, 90_000)]  # fmt: skip
    run = Replay(site.book, site.tags, Outcomes(lambda _line: None))
    feeding = Feeding(run, (), happenings(rows, (), ()), WALL + 50_000)
    feeding.run(entry_to(one) for one in site.entries)
    feeding.finish(WALL + 100_000)
    assert run.played.refused == 1
    (note,) = _notes(Replayed(0, 1, run.played, 0, Comparison((), (), ())))
    assert note.startswith("1 thing that somebody did to alarms")


def test_orders_on_alarms_of_issues_are_left_out() -> None:
    mine = AlarmSpec("pump_gone", "gateway", issue="device_offline")
    followed = followed_by(RuleBook(alarms=(mine,)))
    rows = [{"kind": "alarm", "ts": 1, "id": id_, "device": "boiler", "event": "ack", "who": "anna"}
            for id_ in ("device_offline", "pump_gone", "high")]  # fmt: skip
    assert [one.key for one in happenings(rows, (), followed) if not isinstance(one, Upkeep)] == ["high@boiler"]


# --- work on devices


def test_what_an_audit_entry_tells_of_work_on_a_device() -> None:
    row = {"kind": "audit", "ts": 5, "who": "anna", "what": "maintenance", "device": "boiler", "until": 9}
    assert upkeep_from(row) == Upkeep(5, "boiler", on=True)
    assert upkeep_from({**row, "what": "maintenance_end"}) == Upkeep(5, "boiler", on=False)
    assert upkeep_from({**row, "what": "write"}) is None
    assert upkeep_from({**row, "state": "rejected"}) is None


@pytest.mark.parametrize("begin_ms", [-86_400_000, 5_000])
def test_alarms_of_a_device_that_people_work_on_are_suppressed_in_a_replay_too(begin_ms: int) -> None:
    site = Site()
    site.began = []
    for _ in range(30):
        site.read(boiler_temperature=85.0 if site.at > START + 10_000 else 60.0)
        site.pass_time(1)
    audit = [
        {"kind": "audit", "ts": WALL + begin_ms, "what": "maintenance", "device": "boiler"},
        {"kind": "audit", "ts": WALL + 25_500, "what": "maintenance_end", "device": "boiler"},
    ]
    _, came = replayed(site, happenings((), audit, ()))
    states = [line["state"] for line in came if line["kind"] == "alarm" and line["id"] == "high"]
    assert states == ["suppressed", "unack_active"]


def test_work_on_a_device_goes_on_over_a_restart() -> None:
    site = Site()
    site.began = []
    site.read(boiler_temperature=60.0)
    site.pass_time(10)
    site.read(boiler_temperature=60.0)
    site.begin_again(5)
    for _ in range(20):
        site.read(boiler_temperature=90.0)
        site.pass_time(1)
    work = [{"kind": "audit", "ts": WALL + 5_000, "what": "maintenance", "device": "boiler"}]
    run, came = replayed(site, happenings((), work, ()))
    assert [line["state"] for line in came if line["kind"] == "alarm" and line["id"] == "high"] == ["suppressed"]
    assert run.engine is not None
    assert run.engine.alarms.state("high@boiler") == "suppressed"


# --- what goes together


def test_steps_without_tags_are_compared_by_what_they_are_about_and_show_their_text() -> None:
    line = {"kind": "action", "ts": 5, "rule": "r"}
    audit = {"kind": "audit", "ts": 5, "who": "rule:r", "state": "ok", "code": 200}
    for here, real, on, text in (
        ({"what": "log", "text": "hot, 85"}, {"what": "log", "message": "hot, 85"}, "", "hot, 85"),
        ({"what": "publish", "topic": "a/b", "text": "{}"}, {"what": "publish", "topic": "a/b"}, "a/b", ""),
        ({"what": "command", "op": "reboot", "device": "plc"}, {"what": "command", "op": "reboot", "device": "plc"},
         "reboot plc", ""),
        ({"what": "notify", "to": ["a", "b"], "text": "come"}, {"what": "notify", "to": ["a", "b"], "message": "come"},
         "a, b", "come"),
        ({"what": "webhook", "text": "x"}, {"what": "webhook", "host": "example.org:443"}, "", ""),
    ):  # fmt: skip
        (one,), (other,) = effects_of(line | here), effects_in(audit | real)
        assert one.key == other.key
        assert (one.on, one.text, other.text) == (on, text, text)


def test_what_the_op_of_a_command_writes_into_the_audit_log_itself_is_no_second_effect() -> None:
    assert effects_in({"kind": "audit", "ts": 5, "who": "rule:r", "what": "maintenance", "device": "plc"}) == []


def test_restarts_are_told_in_words() -> None:
    played = Played(batches=1, starts=1, boots=2)
    notes = list(_notes(Replayed(0, 1, played, 0, Comparison((), (), ()))))
    assert [note.partition(":")[0] for note in notes] == ["the gateway started once", "the machine started 2 times"]


def test_a_start_without_a_last_reading_loses_no_time_before_it() -> None:
    site = Site()
    run = Replay(site.book, site.tags, Outcomes(lambda _line: None))
    run.restart(Restart(WALL, BOOT))
    assert run.played.starts == 0  # before the first input there is nothing to lose
