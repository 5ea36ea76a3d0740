"""`fieldpost command`: what the words on the line become, and what the exit status says."""

import argparse

import pytest

from gateway.cli.commands.command import command
from gateway.cli.main import main
from gateway.cli.output import Output
from gateway.cli.parser import parse
from gateway.cli.session import CommandFailed, Exit, Session

DONE = {"v": 1, "rid": "c1", "ts": 1, "state": "done", "code": 200}


class Asked(Session):
    """A session whose gateway gives a canned answer."""

    def __init__(self, args: argparse.Namespace, answer: dict) -> None:
        super().__init__(args, Output())
        self.answer = answer
        self.asked: dict = {}

    def call(self, op, args=None, timeout_s=30.0):
        assert op == "command"
        self.asked = {key: value for key, value in args.items() if key != "origin"}
        return self.answer


def ask(*words, answer=DONE):
    session = Asked(parse(["command", *words]), answer)
    return command(session), session.asked


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["rebirth"], {"op": "rebirth", "args": {}}),
        (["read", "pump"], {"op": "read", "device": "pump", "args": {}}),
        (["read", "pump", "tags=a,b/c"], {"op": "read", "device": "pump", "args": {"tags": ["a", "b/c"]}}),
        (
            ["write", "pump", "run=true", "speed=1.5", "text=on", "dry_run=true"],
            {"op": "write", "device": "pump", "args": {"values": {"run": True, "speed": 1.5, "text": "on"}, "dry_run": True}},
        ),
        (
            ["force", "pump", "speed=null", "for=10m"],
            {"op": "force", "device": "pump", "args": {"values": {"speed": None}, "for": 600_000}},
        ),
        (
            ["interval", "pump", "every=200ms", "for=1h", "group=fast"],
            {"op": "interval", "device": "pump", "args": {"every": 200, "for": 3_600_000, "group": "fast"}},
        ),
        (["diagnostics", "parts=units"], {"op": "diagnostics", "args": {"parts": ["units"]}}),
        (
            ["call", "pump", "Drive", "fan=quick", "for=5m", "speed=3"],
            {"op": "call", "device": "pump", "args": {"method": "Drive", "args": {"fan": "quick", "for": "5m", "speed": 3}}},
        ),
        (["call", "pump", "Look"], {"op": "call", "device": "pump", "args": {"method": "Look", "args": {}}}),
        (
            ["call", "pump", "add", "b=2", "--args", '{"mode":"write","args":{"a":1}}'],
            {"op": "call", "device": "pump", "args": {"mode": "write", "method": "add", "args": {"a": 1, "b": 2}}},
        ),
        (["call", "pump", "method=reset"], {"op": "call", "device": "pump", "args": {"method": "reset"}}),
        (["demote", "pump", "for=5000"], {"op": "demote", "device": "pump", "args": {"for": 5000}}),
        (
            ["resend", "from=1", "to=9", "--args", '{"stream":"event","epoch":3}', "--rid", "x", "--ttl", "5s"],
            {"op": "resend", "args": {"stream": "event", "epoch": 3, "from": 1, "to": 9}, "rid": "x", "ttl": 5000},
        ),
    ],
)  # fmt: skip
def test_words_become_a_command(words, asked):
    assert ask(*words) == (Exit.OK, asked)


def test_a_label_is_shown_beside_its_value(capsys):
    items = {"fan": {"code": 200, "value": 3, "label": "quick \x1b[1m", "verified": True}}
    ask("call", "pump", "Drive", "fan=quick", answer={**DONE, "items": items})
    out = capsys.readouterr().out
    assert "3 quick" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("state", ["failed", "rejected", "expired"])
def test_only_what_is_done_exits_0(state, capsys):
    items = {"a": {"code": 422, "text": "too high \x1b[1m"}, "b": {"code": 200, "value": 5, "verified": True}}
    code, _ = ask("write", "pump", "a=1", answer={**DONE, "state": state, "code": 422, "items": items})
    assert code == Exit.FAILED
    out = capsys.readouterr().out
    assert "too high" in out
    assert "verified" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("words", [["--args", "{"], ["--args", "[]"], ["pump", "pump2"], ["every=soon"]])
def test_words_that_are_no_arguments_are_wrong_usage(words):
    with pytest.raises(CommandFailed) as caught:
        ask("interval", *words)
    assert caught.value.exit_with == Exit.USAGE


def test_a_file_of_events_has_no_limit_that_would_be_passed_over(capsys):
    assert main(["journal", "--format", "edgex", "--limit", "3"]) == 2
    assert "write --since 1h" in capsys.readouterr().err
