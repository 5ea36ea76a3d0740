"""What scripts rely on: exit statuses, one line of JSON, what is asked of the gateway, what people see."""

import json

import pytest

from gateway.cli.main import main
from gateway.local.wire import OpError
from tests.unit.cli.fake_gateway import BAD, ERRORS, ROW, STATUS, FakeGateway, fieldpost, running


@pytest.fixture
def gateway(tmp_path):
    fake = FakeGateway(tmp_path / "fieldpost.sock")
    with running(fake):
        yield fake


QUESTIONS = [
    ("status",),
    ("devices",),
    ("tags",),
    ("read", "pump.speed"),
    ("write", "pump.run=true"),
    ("command", "refresh", "pump"),
    ("reads",),
    ("reads", "pump"),
    ("journal", "--stream", "event"),
    ("audit",),
    ("audit", "--verify"),
    ("uplink",),
    ("uplink", "forget", "cloud"),
    ("confirm",),
    ("rollback",),
    ("rollback", "--to", "7"),
    ("generations",),
    ("version",),
]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_json_is_one_object_on_one_line(gateway, capsys, words):
    assert fieldpost(gateway, *words, "--json") == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert isinstance(json.loads(out), dict)
    assert err == ""


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_people_get_text_that_is_not_json(gateway, capsys, words):
    assert fieldpost(gateway, *words) == 0
    out, err = capsys.readouterr()
    assert out.strip()
    assert not out.startswith("{")
    assert "\x1b" not in out, "colour belongs on a terminal only"
    assert err == ""


@pytest.mark.parametrize("words", QUESTIONS[:-1], ids=" ".join)
def test_without_a_gateway_every_question_exits_69_and_says_how_to_start_it(tmp_path, capsys, words):
    assert main([*words, "--socket", str(tmp_path / "none.sock")]) == 69
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "fieldpost run" in err


def test_without_a_gateway_json_still_gets_one_object(tmp_path, capsys):
    assert main(["status", "--json", "--socket", str(tmp_path / "none.sock")]) == 69
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["code"]) == (False, 503)


@pytest.mark.parametrize("words", [("--version",), ("--json", "--version"), ("--version", "--json")])
def test_version_is_an_option_as_well(tmp_path, capsys, words):
    assert main([*words, "--socket", str(tmp_path / "none.sock")]) == 0
    out = capsys.readouterr().out
    assert out.startswith('{"version":' if "--json" in words else "fieldpost ")


def test_version_needs_no_gateway(tmp_path, capsys):
    assert main(["version", "--json", "--socket", str(tmp_path / "none.sock")]) == 0
    assert json.loads(capsys.readouterr().out)["running"] is None


def test_tables_show_value_unit_quality_and_age_aligned(gateway, capsys):
    fieldpost(gateway, "tags")
    head, good, bad = capsys.readouterr().out.splitlines()
    assert head.split() == ["tag", "value", "unit", "quality", "age"]
    assert good.split() == ["pump.speed", "21.4", "rpm", "good", "850", "ms"]
    assert bad.split() == ["pump.flow", "-", "m3/h", "bad/comm", "850", "ms"]
    assert good.index("rpm") == bad.index("m3/h") == head.index("unit")


def test_a_tag_on_demand_that_was_never_read_is_no_fault_of_the_line(gateway, capsys):
    gateway.answers["tags"] = {"tags": [{**BAD, "ts": None, "age": None, "asked": False}]}
    fieldpost(gateway, "tags")
    assert "not asked yet" in capsys.readouterr().out.splitlines()[1]


def test_a_reason_of_a_read_stands_below_its_rows(gateway, capsys):
    gateway.answers["read"] = {"tags": [{**BAD, "why": "the answer has nothing at flow"}]}
    assert fieldpost(gateway, "read", "pump.flow") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "pump.flow: the answer has nothing at flow"


def test_text_of_a_device_cannot_drive_the_terminal(gateway, capsys):
    gateway.answers["tags"] = {"tags": [{**ROW, "value": "\x1b]0;owned\x07\n"}]}
    fieldpost(gateway, "tags")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("\n") == 2


def test_status_counts_a_device_that_was_never_reached_as_away(gateway, capsys):
    line = {"state": "offline", "devices": {"o1": "unknown", "o2": "degraded"}}
    gateway.answers["status"] = {**STATUS, "channels": {"line1": line}}
    fieldpost(gateway, "status")
    row = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("line1"))
    assert row.split() == ["line1", "offline", "1/2", "o1", "unknown"]


def test_status_shows_the_issue_and_its_repair(gateway, capsys):
    fieldpost(gateway, "status")
    out = capsys.readouterr().out
    assert "meter: no answer" in out
    assert "look at the cable" in out
    assert "meter demoted" in out


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_a_health_check_sees_readiness_in_the_exit_status(gateway, ready, code):
    gateway.answers["status"] = {**STATUS, "ready": ready}
    assert fieldpost(gateway, "status", "--ready") == code
    assert fieldpost(gateway, "status") == 0


def test_watch_prints_a_row_a_line(gateway, capsys):
    fieldpost(gateway, "tags", "--watch", "--json", "pump")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [ROW, BAD]
    assert gateway.asked[-1] == ("watch", {"tags": ["pump"], "hidden": False})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("21.5", 21.5),
        ("7", 7),
        ("auto", "auto"),
        ('"7"', "7"),
        ("null", None),
        ("a=b", "a=b"),
        ("NaN", "NaN"),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_a_written_value_is_a_json_scalar_or_text(gateway, text, value):
    assert fieldpost(gateway, "write", f"pump.x={text}") == 0
    assert gateway.asked[-1] == ("write", {"values": {"pump.x": value}})


def test_the_audit_log_is_asked_for_what_the_options_say_and_a_broken_chain_exits_1(gateway, capsys):
    assert fieldpost(gateway, "audit", "--who", "anna", "--device", "pump", "--limit", "5") == 0
    wanted = {"who": "anna", "device": "pump", "limit": 5, "verify": False}
    assert gateway.asked[-1] == ("audit", wanted)
    assert fieldpost(gateway, "audit", "--since", "1h") == 0
    assert gateway.asked[-1][1]["since_ms"] > 1_700_000_000_000
    gateway.answers["audit"] = {"ok": False, "fault": {"kind": "missing", "text": "an entry between 4 and 6"}}
    capsys.readouterr()
    assert fieldpost(gateway, "audit", "--verify") == 1
    assert "missing: an entry between 4 and 6" in capsys.readouterr().out


def test_a_dry_run_is_asked_for_as_one(gateway):
    gateway.answers["write"] = {"results": [{"device": "pump", "tag": "x", "state": "ok", "code": 200}]}
    assert fieldpost(gateway, "write", "pump.x=1", "--dry-run") == 0
    assert gateway.asked[-1] == ("write", {"values": {"pump.x": 1}, "dry_run": True})


def test_a_write_that_did_not_succeed_exits_1(gateway, capsys):
    gateway.answers["write"] = {
        "results": [
            {"device": "pump", "tag": "run", "state": "rejected", "code": 403, "value": None, "text": "not writable"}
        ]
    }
    assert fieldpost(gateway, "write", "pump.run=true") == 1
    assert "not writable" in capsys.readouterr().out


def test_a_read_that_brought_no_value_exits_1(gateway):
    gateway.answers["read"] = {"tags": [BAD]}
    assert fieldpost(gateway, "read", "pump.flow") == 1


@pytest.mark.parametrize("words", [("plan",), ("apply",), ("apply", "--confirm-within", "2m")], ids=" ".join)
def test_a_refused_configuration_exits_78_with_a_line_per_error(gateway, tmp_path, capsys, words):
    gateway.answers["plan"] = gateway.answers["apply"] = {"ok": False, "errors": ERRORS}
    assert fieldpost(gateway, *words, "--config", str(tmp_path)) == 78
    assert capsys.readouterr().out.splitlines()[0] == "channels/line1.yaml:9:37: unknown type uint15 (uint16)"
    assert fieldpost(gateway, *words, "--config", str(tmp_path), "--json") == 78
    assert json.loads(capsys.readouterr().out) == {"ok": False, "errors": ERRORS}


def test_apply_hands_over_folder_and_window(gateway, tmp_path, capsys):
    assert fieldpost(gateway, "apply", "--confirm-within", "2m", "--config", str(tmp_path)) == 0
    assert gateway.asked[-1] == ("apply", {"folder": str(tmp_path), "confirm_within_s": 120.0})
    assert "generation 8 is active" in capsys.readouterr().out


def test_a_refusal_of_the_gateway_exits_1_in_one_line(gateway, capsys):
    gateway.answers["read"] = OpError("there is no tag pump.x", code=404)
    assert fieldpost(gateway, "read", "pump.x") == 1
    assert capsys.readouterr().err == "fieldpost: there is no tag pump.x\n"
    assert fieldpost(gateway, "read", "pump.x", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"ok": False, "code": 404, "text": "there is no tag pump.x"}
