"""`fieldpost alarms` and `rules ls|show|why` against a socket that the real ops of alarms serve, with a real book."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.commands.rules_look import _phase, action_text
from gateway.errors import StoreFull
from gateway.runtime.alarmsummary import alarm_summary
from tests.unit.cli.alarm_site import BOILER, OVEN, PUMP, RULE, Site
from tests.unit.cli.fake_gateway import fieldpost, running
from tests.unit.rules.alarm_kit import HOUR, spec
from tests.unit.runtime.alarm_bench import Bench


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "fieldpost.sock")
    with running(made):
        yield made


def test_what_stands_is_a_table_the_most_urgent_first(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    site.desk.active(BOILER, value=91.5)
    site.desk.ack(BOILER, comment="on my way")
    site.desk.active(PUMP, value=9.7)
    site.desk.shelve(7200, OVEN)
    assert fieldpost(site, "alarms") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["alarm", "state", "priority", "for", "value", "text", "note"]
    assert [row.split()[:3] for row in rows] == [
        [PUMP, "unack_active", "high"],
        [BOILER, "ack_active", "high"],
        [OVEN, "shelved", "high"],
    ]
    assert "back in 2.0 h by anna; sensor is being changed" in "".join(rows)
    assert "by anna; on my way" in "".join(rows)


def test_without_alarms_that_is_said_and_all_shows_every_one(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert fieldpost(site, "alarms") == 0
    assert capsys.readouterr().out == "no alarms\n"
    for words in (("alarms", "ls", "--all"), ("alarms", "--all", "ls"), ("alarms", "--all")):
        assert fieldpost(site, *words) == 0
        assert len(capsys.readouterr().out.splitlines()) == 4


def test_text_of_an_alarm_cannot_drive_the_terminal(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.desk.active(PUMP, text="\x1b]0;owned\x07\n", value="\x1b[2J")
    fieldpost(site, "alarms")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("\n") == 2


def test_an_ack_is_said_and_kept_with_its_comment(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.desk.active(PUMP)
    assert fieldpost(site, "alarms", "ack", "press_hi", "--comment", "seen") == 0
    assert capsys.readouterr().out == f"{PUMP}: unack_active -> ack_active\n"
    assert (site.desk.last.event, site.desk.last.comment) == ("ack", "seen")


def test_an_act_that_the_disk_has_no_room_for_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.desk.active(PUMP)
    site.store.failing = StoreFull("the journal has no room")
    assert fieldpost(site, "alarms", "ack", PUMP) == 0
    said = "done, but not on disk yet: the journal has no room; a restart now would undo it"
    assert said in capsys.readouterr().out


def test_json_of_an_act_is_one_object(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.desk.active(PUMP)
    site.desk.active(OVEN)
    assert fieldpost(site, "alarms", "ack", "--all", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["key"] for one in answer["alarms"]] == [OVEN, PUMP]
    assert fieldpost(site, "alarms", "ack", "--all") == 0
    assert capsys.readouterr().out == "no alarm waits for an acknowledgement\n"


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("ack", "nothing"), 1, "there is no alarm nothing"),
        (("ack", PUMP), 1, "there is nothing to acknowledge"),
        (("ack", "hot"), 2, "several alarms"),
        (("ack",), 2, "--all"),
        (("ack", PUMP, "--all"), 2, "--all"),
        (("reset", PUMP), 1, "there is nothing to reset"),
        (("unshelve", PUMP), 1, "it is not shelved"),
        (("shelve", PUMP), 2, "--for"),
        (("shelve", PUMP, "--for", "8d"), 2, "7d"),
        (("out-of-service", PUMP, "--off"), 1, "it is not out of service"),
        (("out-of-service", PUMP, "--off", "--on"), 2, "not allowed"),
        (("--watch", "--stats"), 2, "--watch"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_what_is_not_done_says_why_in_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, text: str
) -> None:
    assert fieldpost(site, "alarms", *words) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err.splitlines()[-1]
    assert site.desk.told == []


def test_a_day_of_an_alarm_from_shelf_to_service(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert fieldpost(site, "alarms", "shelve", OVEN, "--for", "2h", "--comment", "new door") == 0
    assert capsys.readouterr().out.startswith(f"{OVEN}: normal -> shelved until ")
    assert site.desk.book.rows(site.desk.now)[0]["left"] == 2 * HOUR
    assert fieldpost(site, "alarms", "unshelve", OVEN) == 0
    site.desk.active(OVEN)
    site.desk.clear(OVEN)
    assert fieldpost(site, "alarms", "ack", OVEN) == fieldpost(site, "alarms", "reset", OVEN) == 0
    assert fieldpost(site, "alarms", "out-of-service", OVEN, "--comment", "sold") == 0
    assert fieldpost(site, "alarms", "out-of-service", OVEN, "--off") == 0
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "shelved -> normal",
        "unack_latched -> ack_latched",
        "ack_latched -> normal",
        "normal -> out_of_service",
        "out_of_service -> normal",
    ]


def test_figures_name_the_most_frequent(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        site.desk.active(PUMP)
        site.desk.clear(PUMP)
    assert fieldpost(site, "alarms", "--stats") == 0
    out = capsys.readouterr().out
    assert "in 10 minutes: 3 now, 3 at most" in out
    assert f"{PUMP}" in out
    assert fieldpost(site, "alarms", "--stats", "--json") == 0
    assert json.loads(capsys.readouterr().out)["stats"]["top"][0] == {"key": PUMP, "count": 3, "share": 100.0}


def test_a_watch_shows_what_stands_and_then_a_transition_a_line(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.desk.active(PUMP)
    assert fieldpost(site, "alarms", "--watch") == 1  # the gateway ended it
    *_, active, ack = capsys.readouterr().out.splitlines()
    assert f"{BOILER}  active -> unack_active" in active
    assert "value 91.5" in active
    assert ack.endswith("by anna: on my way")


def test_a_watch_for_programs_has_an_object_a_line(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fieldpost(site, "alarms", "ls", "--watch", "--json")
    first, *rest = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"alarms": []}
    assert [item["entry"]["event"] for item in rest] == ["active", "ack"]


def test_rules_are_listed_with_phase_and_computed_tags(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert fieldpost(site, "rules", "ls") == 0
    out = capsys.readouterr().out
    assert "overheat  pending, " in out
    assert "dry run; the boiler is too hot" in out
    assert "broken    stopped" in out
    assert "division by zero" in out
    assert "plant.energy" in out
    assert fieldpost(site, "rules", "ls", "--json") == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["rules"]] == ["overheat", "broken"]


def test_why_goes_from_the_alarm_to_the_readings_and_on_to_what_was_done(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fieldpost(site, "rules", "why", "overheat", "--last", "3") == 0
    assert site.asked == [("rule_why", {"name": "overheat", "last": 3})]
    out = capsys.readouterr().out
    told = ["when: boiler.temperature > 80", "Boiler at 83.0 °C", "its condition began", "10.0 s before", "it looked at",
            "readings", "79.0", "bad/comm", "(7 more readings in between)", "started",
            "write  pump.run  false -> true  (ok 200)", "webhook  example.org  (failed 504 no answer)", "by anna: on my way"]  # fmt: skip
    places = [out.index(text) for text in told]
    assert places == sorted(places), "an answer stands before its question"


def test_why_without_a_run_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.runs = []
    assert fieldpost(site, "rules", "why", "overheat") == 0
    assert "the journal holds no time at which it was active" in capsys.readouterr().out


def test_show_has_expression_inputs_and_last_runs(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert fieldpost(site, "rules", "show", "overheat") == 0
    out = capsys.readouterr().out
    assert "until: boiler.temperature < 75" in out
    assert "boiler.temperature      -  bad/comm" in " ".join(out.split("\n"))
    assert "write  pump.run  false -> true  (ok 200) and 1 more" in out
    assert "not over" in out


def test_status_names_the_most_urgent_alarm_and_stopped_rules(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fieldpost(site, "status")
    assert "alarms:" not in capsys.readouterr().out
    site.desk.active(PUMP)
    site.desk.active(BOILER)
    site.desk.ack(BOILER)
    site.desk.shelve(60, OVEN)
    assert fieldpost(site, "status") == 0
    out = capsys.readouterr().out
    assert "alarms: 2 active, 1 not acknowledged, 1 put away" in out
    assert f"{PUMP}: unack_active, high" in out
    assert "rule broken is stopped" in out


def test_before_the_rules_have_started_a_status_has_no_alarms() -> None:
    bench = Bench(spec())
    bench.started = False
    assert alarm_summary(bench) == {"active": 0, "unacked": 0, "away": 0, "worst": None}


def test_the_table_fits_a_small_terminal(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.desk.active(PUMP, value=9.7, text="Pressure above 9.5 bar since the valve was shut by hand")
    site.desk.shelve(7200, OVEN)
    monkeypatch.setenv("COLUMNS", "80")
    assert fieldpost(site, "alarms") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert [line.split()[0] for line in lines] == ["alarm", PUMP, OVEN]


def test_entries_of_alarms_in_the_journal_are_read_as_a_watch_shows_them(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fieldpost(site, "journal", "--stream", "alarm") == 0
    active, ack, one, many, rule = capsys.readouterr().out.splitlines()[-5:]
    assert "10  " in active
    assert "overheat@gateway  active -> unack_active  high  Boiler at 83.0 °C  value 83.0" in active
    assert ack.endswith("by anna: on my way")
    assert "clear (chattering) -> ack_latched" in one
    assert "4 transitions (chattering) -> ack_latched" in many
    assert "rule=overheat what=started" in rule


def test_parts_of_a_rule_say_whether_they_are_true_now(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("show", "why"):
        assert fieldpost(site, "rules", what, "overheat") == 0
        out = capsys.readouterr().out
        for text in (
            "when: boiler.temperature > 80   (now not known, as boiler.pressure is uncertain)",
            "until: boiler.temperature < 75   (now false)",
            "for: 10.0 s",
            "on_bad: hold",
            "start: write pump.run = true; log: hot",
            "avg(boiler.temperature, 5 min) is 81.25",
            "max(boiler.temperature, 5 min) is not known",
        ):
            assert f"  {text}\n" in out


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            {"what": "command", "op": "reboot", "device": "plc", "state": "rejected", "code": 404},
            "command  reboot  plc  (rejected 404)",
        ),
        ({"what": "publish", "topic": "x/y", "state": "ok", "code": 200}, "publish  x/y  (ok 200)"),
    ],
)
def test_an_action_is_named_by_what_it_asks_for(row: dict[str, Any], text: str) -> None:
    assert action_text(row) == text


def test_a_delay_that_stands_still_says_so() -> None:
    row = {**RULE, "held": True, "left": 4200}
    assert _phase(row) == "pending, 4.2 s to go once its inputs are good"
