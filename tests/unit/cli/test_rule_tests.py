"""`fieldpost rules test`: what passes, what fails and how that is told, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import main

CHANNEL = """\
driver: sim
devices:
  boiler:
    tags:
      temperature: {type: float32}
      pressure: {type: float32}
      mode: {type: int16, signal: constant, access: rw}
  pump:
    tags:
      run: {type: bool, signal: constant, access: rw}
      hours: {type: float64, hours: pump.run}
"""
RULES = """\
overheat:
  when: boiler.temperature > 80 and boiler.pressure > 3.5
  for: 10s
  until: boiler.temperature < 75
  start: [{write: {pump.run: true}}, {log: "hot, {boiler.temperature:.0f}"}]
  end: [{write: {pump.run: false}}]
  alarm: {priority: high, text: hot}
tick:
  every: 1h
  start: [{write: {boiler.mode: {value: boiler.temperature / 10}}}]
"""
GOOD = """\
only: overheat
tests:
  it fires after ten seconds:
    steps:
      - {at: 0s, readings: {boiler.temperature: 85, boiler.pressure: 4}}
      - at: 11s
        ordered: true
        expect: [{write: {pump.run: true}}, {log: "hot, 85"}, {alarm: overheat, state: unack_active}]
      - {at: 12s, ack: overheat, expect: [{alarm: overheat@gateway, state: ack_active, event: ack}]}
      - {at: 20s, readings: {boiler.temperature: 70}}
      - {at: 60s, expect: [{alarm: overheat, state: normal}, {write: {pump.run: false}, rule: overheat}]}
      - {at: 1h, expect_none: true, values: {pump.hours: {value: 0, quality: uncertain}}}
  a bad input is no heat:
    steps:
      - {at: 0s, readings: {boiler.temperature: {value: 85, quality: uncertain/last-known}, boiler.pressure: null}}
      - {at: 60s, expect_none: true}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (
        ("gateway.yaml", "gateway: {id: g, timezone: Europe/Berlin}\n"),
        ("channels/line.yaml", CHANNEL),
        ("rules/rules.yaml", RULES),
    ):
        path = tmp_path / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "config" / "tests").mkdir()
    return tmp_path / "config" / "tests"


def put(folder: Path, text: str, name: str = "t.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def case(*steps: str, more: str = "") -> str:
    lines = "".join(f"      - {step}\n" for step in steps)
    return f"only: overheat\ntests:\n  it:\n{more}    steps:\n{lines}"


HOT = "{at: 0s, readings: {boiler.temperature: 85, boiler.pressure: 4}}"
FIRED = '{write: {pump.run: true}}, {log: "hot, 85"}, {alarm: overheat, state: unack_active}'


def test_good_tests_pass_and_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "test", put(folder, GOOD)]) == 0
    assert capsys.readouterr().out == "ok: 2 tests\n"
    assert main(["rules", "test", "--json", "--only", "bad input", str(folder)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["tests"], answer["failed"]) == (True, 1, 0)
    assert main(["rules", "test", "--only", "nothing of that name", str(folder)]) == 1


def test_what_did_not_come_and_what_came_are_told_with_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(folder, case(HOT, "{at: 11s, expect: [{write: {pump.run: false}}, {alarm: overheat, state: normal}]}"))
    assert main(["rules", "test", file]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{file}:3: it: failed",
        "  at 11s (line 6):",
        "    expected, but it did not come:",
        "      - {write: {pump.run: false}}   (line 6)",
        "      - {alarm: overheat, state: normal}   (line 6)",
        "    came, but it is not expected:",
        "      + {write: {pump.run: true}}   (at 10s by overheat)",
        '      + {log: "hot, 85"}   (at 10s by overheat)',
        "      + {alarm: overheat, state: unack_active, event: active}   (at 10s)",
        "1 of 1 test failed",
    ]


def test_the_order_counts_only_where_it_is_asked_for(folder: Path) -> None:
    turned = '{alarm: overheat, state: unack_active}, {log: "hot, 85"}, {write: {pump.run: true}}'
    assert main(["rules", "test", put(folder, case(HOT, f"{{at: 11s, expect: [{turned}]}}"))]) == 0
    assert main(["rules", "test", put(folder, case(HOT, f"{{at: 11s, ordered: true, expect: [{turned}]}}"))]) == 1
    assert main(["rules", "test", put(folder, case(HOT, f"{{at: 11s, ordered: true, expect: [{FIRED}]}}"))]) == 0


def test_effects_after_the_last_expect_are_a_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "test", put(folder, case(HOT, "{at: 9s, expect_none: true}", "{at: 20s}"))]) == 1
    assert "came after the last `expect`:" in capsys.readouterr().out


def test_an_effect_is_counted_once(folder: Path) -> None:
    twice = f"{{at: 11s, expect: [{FIRED}, {{write: {{pump.run: true}}}}]}}"
    assert main(["rules", "test", put(folder, case(HOT, twice))]) == 1


def test_values_of_tags_can_be_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on, off = "{at: 0s, readings: {pump.run: true}}", "{at: 30m, readings: {pump.run: false}"
    assert main(["rules", "test", put(folder, case(on, off + ", values: {pump.hours: 0.5}}"))]) == 0
    assert main(["rules", "test", put(folder, case(on, off + ", values: {pump.hours: 1}}"))]) == 1
    assert "pump.hours is 0.5, good, not 1.0" in capsys.readouterr().out


def test_all_rules_run_where_none_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "tests:\n  it:\n    steps:\n      - {at: 0s, readings: {boiler.temperature: 50}}\n      - at: 1h\n        expect: %s\n"
    assert main(["rules", "test", put(folder, text % "[{write: {boiler.mode: 5}, rule: tick}]")]) == 0
    assert main(["rules", "test", put(folder, text % "[{write: {boiler.mode: 5}, rule: overheat}]")]) == 1


def test_a_long_list_of_what_came_is_cut(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "tests:\n  it:\n    steps: [{at: 0s, readings: {boiler.temperature: 50}}, {at: 7d, expect_none: true}]\n"
    assert main(["rules", "test", put(folder, text)]) == 1
    out = capsys.readouterr().out
    assert "  ... and 148 more" in out
    assert out.count("  + ") == 20


def test_the_wall_clock_is_that_of_the_site_and_may_be_set(folder: Path) -> None:
    rules = 'night: {every: {cron: "0 22 * * *"}, start: [{write: {pump.run: true}}]}\n'
    (folder.parent / "rules" / "night.yaml").write_text(rules, encoding="utf-8")
    text = """\
only: night
tests:
  it:
    start: "2026-07-01T21:00:00"
    steps:
      - {at: 59m, expect_none: true}
      - {at: 60m, expect: [{write: {pump.run: true}}]}
      - {at: 61m, clock: "2026-07-02T19:59:59Z", expect_none: true}
      - {at: 62m, expect: [{write: {pump.run: true}}]}
"""
    assert main(["rules", "test", put(folder, text)]) == 0


def test_a_refused_order_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "test", put(folder, case("{at: 0s, ack: overheat}"))]) == 1
    assert "ack: overheat was refused: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1:1: the file is empty"),
        ("tests: {}", ":1:1: there is no test"),
        ("test: {}", ":1:1: unknown key `test` in a test file (did you mean `tests`?)"),
        (case("{at: 5}"), ":5:14: `at` is wrong: a duration needs a unit (write 5s or 5ms)"),
        (case("{at: 1s}", "{at: 0s}"), ":6:14: this step is before the one above it"),
        (case("{at: 0s, reading: {}}"), ":5:18: unknown key `reading` in a step (did you mean `readings`?)"),
        (case("{at: 0s, readings: {boiler.temp: 1}}"), ":5:29: there is no tag `boiler.temp`"),
        (case("{at: 0s, readings: {boiler.mode: 1.5}}"), ":5:42: `boiler.mode` is a whole number, not 1.5"),
        (case("{at: 0s, readings: {pump.run: 1}}"), ":5:39: `pump.run` is true or false, not 1"),
        (case("{at: 0s, readings: {pump.hours: 1}}"), ":5:29: `pump.hours` is computed: no reading of it can come"),
        (
            case("{at: 0s, readings: {pump.run: {value: true, quality: bd}}}"),
            ":5:62: there is no quality `bd` (did you mean `bad`?)",
        ),
        (case("{at: 0s, ack: overhaet}"), ":5:23: there is no alarm `overhaet` (did you mean `overheat`?)"),
        (case("{at: 0s, shelve: overheat}"), ":5:26: `shelve` takes an alarm and a time"),
        (case("{at: 0s, expect: [{wirte: {}}]}"), ":5:28: unknown effect `wirte` (did you mean `write`?)"),
        (case("{at: 0s, expect: [{write: {pump.go: true}}]}"), ":5:36: there is no tag `pump.go`"),
        (case("{at: 0s, expect: [{write: {pump.run: 3}}]}"), ":5:46: `pump.run` is true or false, not 3"),
        (case("{at: 0s, expect: [{alarm: overheat, sate: x}]}"), ":5:45: unknown key `sate` of an effect"),
        (case("{at: 0s, expect: [{alarm: overheat, state: on}]}"), ":5:52: there is no alarm state `on`"),
        (case("{at: 0s, expect: [{rule: overheat, what: hot}]}"), ":5:27: `what` says how the rule went wrong"),
        (case("{at: 0s, expect: [{log: x, rule: tack}]}"), ":5:42: there is no rule `tack` (did you mean `tick`?)"),
        (case("{at: 0s, ordered: true}"), ":5:18: there is no `expect` here"),
        (case("{at: 0s, expect: [], expect_none: true}"), ":5:30: `expect` is here already"),
        (case("{at: 0s}", more="    start: noon\n"), ":4:12: `noon` is no date and time"),
        ("only: hot\ntests: {it: {steps: [{at: 0s}]}}", ":1:7: there is no rule and no alarm `hot`"),
        ("tests: {a: {steps: []}}", "the test has no step"),
        ("tests: {a: {steps: [{at: 0s}]}}\n---\ntests: {}", ":3:1: a test file holds one document"),
        ("tests: {a: [", ":1:"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = put(folder, text)
    assert main(["rules", "test", file]) == 78
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert f"{file}:" in told.out + told.err


def test_everything_wrong_in_all_files_is_told_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder, case("{at: 0s, readings: {a.b: 1, boiler.mode: x}}"), "a.yaml")
    put(folder, case("{at: 0s, ack: nobody}"), "b.yaml")
    assert main(["rules", "test", str(folder), "--json"]) == 78
    errors = json.loads(capsys.readouterr().out)["errors"]
    assert [(Path(error["file"]).name, error["line"]) for error in errors] == [("a.yaml", 5)] * 2 + [("b.yaml", 5)]


def test_which_configuration_is_meant(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert main(["rules", "test", put(elsewhere, GOOD)]) == 1
    assert "no folder above it holds a gateway.yaml" in capsys.readouterr().err
    assert main(["rules", "test", "--config", str(folder.parent), put(elsewhere, GOOD)]) == 0
    assert main(["rules", "test", put(elsewhere, f"rules: ../config\n{GOOD}")]) == 0
    assert main(["rules", "test", str(tmp_path / "none.yaml")]) == 1
    (tmp_path / "empty").mkdir()
    assert main(["rules", "test", str(tmp_path / "empty")]) == 1


TOLERANT = """\
tests:
  what people write down is rounded:
    steps:
      - {at: 0s, readings: {boiler.temperature: 81.30001}, values: {boiler.temperature: %s}}
"""


@pytest.mark.parametrize(("written", "status"), [("81.30001", 0), ("81.30005", 0), ("81.302", 1)])
def test_values_are_the_same_within_a_millionth(folder: Path, written: str, status: int) -> None:
    file = folder / "tests.yaml"
    file.write_text(TOLERANT % written)
    assert main(["rules", "test", str(file)]) == status


def test_a_file_with_errors_says_that_no_test_was_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "tests.yaml"
    file.write_text("tests: {x: {steps: [{at: 0s, nonsense: 1}]}}")
    assert main(["rules", "test", str(file)]) == 78
    assert capsys.readouterr().out.splitlines()[-1] == "1 error; no test was run"
