"""What scripts rely on: exit statuses, one line of JSON, one line of error, never a traceback."""

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import threading

import pytest

from gateway.cli import parser
from gateway.cli.main import main
from gateway.errors import ConfigError, Problem
from gateway.local.server import Handler, LocalServer
from gateway.local.wire import OpError

ROW = {
    "device": "pump",
    "tag": "speed",
    "value": 21.4,
    "unit": "rpm",
    "quality": "good",
    "ts": 1795000000007,
    "age": 850,
}
BAD = {**ROW, "tag": "flow", "value": None, "unit": "m3/h", "quality": "bad/comm"}
STATUS = {
    "ready": True,
    "version": "0.1.0",
    "gateway": "plant-7",
    "config": {"hash": "ab", "generation": 7, "drift": False},
    "uplinks": {
        "cloud": {
            "state": "online",
            "since": 1795000000000,
            "backlog": {"readings": 0, "bytes": 0, "oldest": None},
            "proof": "full",
        }
    },
    "channels": {"line1": {"state": "online", "devices": {"pump": "online", "meter": "demoted"}}},
    "journal": {"bytes": 5, "epoch": 3, "streams": {"telemetry": {"oldest": 1, "last": 91589, "gaps": 0}}},
    "issues": [
        {
            "id": "device_offline",
            "entity": "meter",
            "text": "no answer",
            "repair": "look at the cable",
            "since": 1795000000000,
        }
    ],
}
ERRORS = [
    {
        "file": "channels/line1.yaml",
        "line": 9,
        "column": 37,
        "path": "devices.pump.tags.speed.type",
        "message": "unknown type uint15",
        "hint": "uint16",
    }
]


class FakeGateway:
    """A real socket server with canned answers: the command line is all that is under test."""

    def __init__(self, path):
        self.path = path
        self.asked = []
        self.answers = {
            "status": STATUS,
            "version": {"version": "0.1.0"},
            "tags": {"tags": [ROW, BAD]},
            "read": {"tags": [ROW]},
            "write": {"results": [{"device": "pump", "tag": "run", "state": "ok", "code": 200, "value": True}]},
            "command": {"v": 1, "rid": "c1", "ts": 1, "state": "done", "code": 200, "out": {"readings": 5}},
            "devices": {"devices": [{"device": "pump", "channel": "line1", "state": "online", "polls": 5}]},
            "reads": {
                "devices": {
                    "pump": {
                        "cycle_ms": 12.5,
                        "requests": [{"table": "holding", "address": 100, "count": 25, "tags": 12}],
                        "learned": [],
                    }
                }
            },
            "journal": {
                "bytes": 12345,
                "epoch": 3,
                "streams": STATUS["journal"]["streams"],
                "gaps": [],
                "entries": [{"seq": 5, "ts": 1795000000000, "kind": "device", "state": "online"}],
            },
            "audit": {
                "ok": True,
                "entries": [{"seq": 5, "ts": 1795000000000, "who": "anna", "what": "write", "old": 1, "new": 2}],
                "gaps": [],
            },
            "uplink": {"uplinks": STATUS["uplinks"]},
            "uplink_forget": {"forgotten": "cloud"},
            "plan": {"ok": True, "errors": [], "lines": ["channel line1: restart"], "channels": {}},
            "apply": {"ok": True, "generation": 8, "hash": "cd", "lines": ["channel line1: restart"], "gates": []},
            "confirm": {"ok": True, "generation": 8},
            "rollback": {"ok": True, "generation": 7, "hash": "ab"},
            "generations": {
                "generations": [{"number": 7, "hash": "ab", "time": 1795000000000, "note": "", "active": True}]
            },
        }

    async def _answer(self, op, args):
        self.asked.append((op, args))
        answer = self.answers[op]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _watch(self, args):
        self.asked.append(("watch", args))
        yield ROW
        yield BAD

    def handlers(self):
        def handler(op):
            return Handler(lambda args: self._answer(op, args))

        return {op: handler(op) for op in self.answers} | {"watch": Handler(self._watch, stream=True)}


@contextlib.contextmanager
def _running(gateway):
    started = threading.Event()
    stop = []

    async def serve():
        server = LocalServer(gateway.path, gateway.handlers(), logging.getLogger("test"))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(server.run())
            await server.listening.wait()
            stop.append((asyncio.get_running_loop(), task))
            started.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        loop, task = stop[0]
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


@pytest.fixture
def gateway(tmp_path):
    fake = FakeGateway(tmp_path / "fieldpost.sock")
    with _running(fake):
        yield fake


def _fieldpost(gateway, *words):
    return main([*words, "--socket", str(gateway.path)])


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
    assert _fieldpost(gateway, *words, "--json") == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert isinstance(json.loads(out), dict)
    assert err == ""


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_people_get_text_that_is_not_json(gateway, capsys, words):
    assert _fieldpost(gateway, *words) == 0
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
    _fieldpost(gateway, "tags")
    head, good, bad = capsys.readouterr().out.splitlines()
    assert head.split() == ["tag", "value", "unit", "quality", "age"]
    assert good.split() == ["pump.speed", "21.4", "rpm", "good", "850", "ms"]
    assert bad.split() == ["pump.flow", "-", "m3/h", "bad/comm", "850", "ms"]
    assert good.index("rpm") == bad.index("m3/h") == head.index("unit")


def test_a_tag_on_demand_that_was_never_read_is_no_fault_of_the_line(gateway, capsys):
    gateway.answers["tags"] = {"tags": [{**BAD, "ts": None, "age": None, "asked": False}]}
    _fieldpost(gateway, "tags")
    assert "not asked yet" in capsys.readouterr().out.splitlines()[1]


def test_a_reason_of_a_read_stands_below_its_rows(gateway, capsys):
    gateway.answers["read"] = {"tags": [{**BAD, "why": "the answer has nothing at flow"}]}
    assert _fieldpost(gateway, "read", "pump.flow") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "pump.flow: the answer has nothing at flow"


def test_text_of_a_device_cannot_drive_the_terminal(gateway, capsys):
    gateway.answers["tags"] = {"tags": [{**ROW, "value": "\x1b]0;owned\x07\n"}]}
    _fieldpost(gateway, "tags")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("\n") == 2


def test_status_shows_the_issue_and_its_repair(gateway, capsys):
    _fieldpost(gateway, "status")
    out = capsys.readouterr().out
    assert "meter: no answer" in out
    assert "look at the cable" in out
    assert "meter demoted" in out


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_a_health_check_sees_readiness_in_the_exit_status(gateway, ready, code):
    gateway.answers["status"] = {**STATUS, "ready": ready}
    assert _fieldpost(gateway, "status", "--ready") == code
    assert _fieldpost(gateway, "status") == 0


def test_watch_prints_a_row_a_line(gateway, capsys):
    _fieldpost(gateway, "tags", "--watch", "--json", "pump")
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
    assert _fieldpost(gateway, "write", f"pump.x={text}") == 0
    assert gateway.asked[-1] == ("write", {"values": {"pump.x": value}})


def test_the_audit_log_is_asked_for_what_the_options_say_and_a_broken_chain_exits_1(gateway, capsys):
    assert _fieldpost(gateway, "audit", "--who", "anna", "--device", "pump", "--limit", "5") == 0
    wanted = {"who": "anna", "device": "pump", "limit": 5, "verify": False}
    assert gateway.asked[-1] == ("audit", wanted)
    assert _fieldpost(gateway, "audit", "--since", "1h") == 0
    assert gateway.asked[-1][1]["since_ms"] > 1_700_000_000_000
    gateway.answers["audit"] = {"ok": False, "fault": {"kind": "missing", "text": "an entry between 4 and 6"}}
    capsys.readouterr()
    assert _fieldpost(gateway, "audit", "--verify") == 1
    assert "missing: an entry between 4 and 6" in capsys.readouterr().out


def test_a_dry_run_is_asked_for_as_one(gateway):
    gateway.answers["write"] = {"results": [{"device": "pump", "tag": "x", "state": "ok", "code": 200}]}
    assert _fieldpost(gateway, "write", "pump.x=1", "--dry-run") == 0
    assert gateway.asked[-1] == ("write", {"values": {"pump.x": 1}, "dry_run": True})


def test_a_write_that_did_not_succeed_exits_1(gateway, capsys):
    gateway.answers["write"] = {
        "results": [
            {"device": "pump", "tag": "run", "state": "rejected", "code": 403, "value": None, "text": "not writable"}
        ]
    }
    assert _fieldpost(gateway, "write", "pump.run=true") == 1
    assert "not writable" in capsys.readouterr().out


def test_a_read_that_brought_no_value_exits_1(gateway):
    gateway.answers["read"] = {"tags": [BAD]}
    assert _fieldpost(gateway, "read", "pump.flow") == 1


@pytest.mark.parametrize("words", [("plan",), ("apply",), ("apply", "--confirm-within", "2m")], ids=" ".join)
def test_a_refused_configuration_exits_78_with_a_line_per_error(gateway, tmp_path, capsys, words):
    gateway.answers["plan"] = gateway.answers["apply"] = {"ok": False, "errors": ERRORS}
    assert _fieldpost(gateway, *words, "--config", str(tmp_path)) == 78
    assert capsys.readouterr().out.splitlines()[0] == "channels/line1.yaml:9:37: unknown type uint15 (uint16)"
    assert _fieldpost(gateway, *words, "--config", str(tmp_path), "--json") == 78
    assert json.loads(capsys.readouterr().out) == {"ok": False, "errors": ERRORS}


def test_apply_hands_over_folder_and_window(gateway, tmp_path, capsys):
    assert _fieldpost(gateway, "apply", "--confirm-within", "2m", "--config", str(tmp_path)) == 0
    assert gateway.asked[-1] == ("apply", {"folder": str(tmp_path), "confirm_within_s": 120.0})
    assert "generation 8 is active" in capsys.readouterr().out


def test_a_refusal_of_the_gateway_exits_1_in_one_line(gateway, capsys):
    gateway.answers["read"] = OpError("there is no tag pump.x", code=404)
    assert _fieldpost(gateway, "read", "pump.x") == 1
    assert capsys.readouterr().err == "fieldpost: there is no tag pump.x\n"
    assert _fieldpost(gateway, "read", "pump.x", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"ok": False, "code": 404, "text": "there is no tag pump.x"}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("profiles", "test", "--strict", "meter"), {"what": "test", "name": ["meter"], "strict": True}),
        (("profiles", "show", "--param", "a=1", "meter"), {"what": "show", "name": ["meter"], "param": ["a=1"]}),
        (
            ("command", "call", "--state", "/s", "pump", "start"),
            {"op": "call", "words": ["pump", "start"], "state": "/s"},
        ),
        (("check", "--json", "site"), {"folder": "site", "json": True}),
        (("tags", "pump.a", "--json", "pump.b"), {"tag": ["pump.a", "pump.b"], "json": True}),
        (("profiles",), {"what": None, "name": []}),
    ],
)
def test_options_may_stand_between_the_words_of_a_command(words, found):
    args = vars(parser.parse(words))
    assert {key: args.get(key) for key in found} == found


def test_options_may_stand_before_or_after_the_command(gateway, capsys):
    assert main(["--json", "--socket", str(gateway.path), "status"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("rules",),
        ("alarms", "acknowledge"),
        ("alarms", "shelve", "a"),
        ("ota",),
        ("status", "--nonsense"),
        ("status", "--js"),
        ("read",),
        ("apply", "--confirm-within", "soon"),
        ("journal", "--limit", "0"),
        ("journal", "--stream", "gossip"),
        ("force", "a.b=1", "--for", "8d"),
        ("maintenance", "a", "--for", "8d"),
        ("trace", "a", "--for", "25h"),
        ("scan", "modbus", "line", "--timeout", "1h"),
        ("scan", "modbus", "line", "--timeout", "1ms"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(capsys, words):
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: fieldpost") and "Traceback" not in err


def test_wrong_usage_is_one_object_for_programs(capsys):
    assert main(["journal", "--limit", "0", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["code"] == 400
    assert "--limit" in json.loads(out)["text"]
    assert err == ""


def test_words_that_the_gateway_refuses_are_wrong_usage_too(gateway, capsys):
    gateway.answers["read"] = OpError("unknown type floot", code=400)
    assert _fieldpost(gateway, "read", "pump.speed") == 2
    assert capsys.readouterr().err == "fieldpost: unknown type floot\n"


@pytest.mark.parametrize("words", [("write", "pump.run"), ("uplink", "forget")], ids=" ".join)
def test_wrong_words_that_the_grammar_cannot_see_exit_2(gateway, capsys, words):
    assert _fieldpost(gateway, *words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_shows_one_line_and_how_to_see_more(gateway, monkeypatch, capsys):
    def broken(_session):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("gateway.cli.commands.state.status", broken)
    assert _fieldpost(gateway, "status") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--debug" in err
    with pytest.raises(ZeroDivisionError):
        _fieldpost(gateway, "status", "--debug")


def test_an_interrupt_is_not_a_crash(gateway, monkeypatch, capsys):
    def interrupted(_session):
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.commands.state.status", interrupted)
    assert _fieldpost(gateway, "status") == 130
    assert capsys.readouterr().err == ""


def test_a_config_error_of_run_exits_78_with_a_line_per_problem(monkeypatch, capsys, tmp_path):
    def refuse(_session):
        raise ConfigError(
            [Problem("gateway.yaml", 1, 2, "gateway", "no id", "id: plant-7"), Problem("x.yaml", 0, 0, "", "empty")]
        )

    monkeypatch.setattr("gateway.cli.commands.service.run", refuse)
    assert main(["run", "--config", str(tmp_path)]) == 78
    assert capsys.readouterr().out.splitlines()[:2] == ["gateway.yaml:1:2: no id (id: plant-7)", "x.yaml: empty"]


def test_a_reader_that_leaves_early_gets_no_traceback(gateway):
    gateway.answers["tags"] = {"tags": [{**ROW, "tag": f"t{i}"} for i in range(20000)]}
    command = [sys.executable, "-m", "gateway.cli", "tags", "--socket", str(gateway.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


def test_a_character_that_the_terminal_does_not_have_is_shown_by_its_number(gateway):
    gateway.answers["tags"] = {"tags": [{**ROW, "unit": "°C"}]}
    command = [sys.executable, "-m", "gateway.cli", "tags", "--socket", str(gateway.path)]
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, capture_output=True, env=env, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\xb0C" in done.stdout
    done = subprocess.run([*command, "--json"], capture_output=True, env=env, check=False, timeout=60)
    assert json.loads(done.stdout)["tags"][0]["unit"] == "°C"


def test_a_closed_output_is_no_crash(gateway):
    command = f"{sys.executable} -m gateway.cli tags --socket {gateway.path} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_command_has_a_function():
    import importlib

    subparsers = next(action for action in parser.build()._actions if action.dest == "==SUPPRESS==" and action.choices)
    for name, command in subparsers.choices.items():
        run = command.get_default("run")
        where, function = (
            cell.cell_contents
            for cell in sorted(run.__closure__, key=lambda c: c.cell_contents == parser._function(name))
        )
        assert callable(getattr(importlib.import_module(f"gateway.cli.commands.{where}"), function)), name
