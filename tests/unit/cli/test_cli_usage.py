"""Wrong words, commands that break or are interrupted, outputs that are gone: one line and a status, no traceback."""

import json
import os
import subprocess
import sys

import pytest

from gateway.cli import parser
from gateway.cli.main import main
from gateway.errors import ConfigError, Problem
from gateway.local.wire import OpError
from tests.unit.cli.fake_gateway import ROW, STATUS, FakeGateway, fieldpost, running


@pytest.fixture
def gateway(tmp_path):
    fake = FakeGateway(tmp_path / "fieldpost.sock")
    with running(fake):
        yield fake


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
    assert fieldpost(gateway, "read", "pump.speed") == 2
    assert capsys.readouterr().err == "fieldpost: unknown type floot\n"


@pytest.mark.parametrize("words", [("write", "pump.run"), ("uplink", "forget")], ids=" ".join)
def test_wrong_words_that_the_grammar_cannot_see_exit_2(gateway, capsys, words):
    assert fieldpost(gateway, *words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_shows_one_line_and_how_to_see_more(gateway, monkeypatch, capsys):
    def broken(_session):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("gateway.cli.commands.state.status", broken)
    assert fieldpost(gateway, "status") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--debug" in err
    with pytest.raises(ZeroDivisionError):
        fieldpost(gateway, "status", "--debug")


def test_an_interrupt_is_not_a_crash(gateway, monkeypatch, capsys):
    def interrupted(_session):
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.commands.state.status", interrupted)
    assert fieldpost(gateway, "status") == 130
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
