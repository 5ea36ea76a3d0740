"""add, scan, force, maintenance: words that are wrong are told as such, before anything is asked or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.main import main

CHANNELS = {
    "line": "driver: modbus\nserial: {port: /dev/none, line: 19200-8N1}\ndevices:\n  pump: {unit_id: 3, tags: {}}\n",
    "net": "driver: modbus\nurl: tcp://192.0.2.10\ndevices:\n  meter: {unit_id: 1, tags: {}}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "channels").mkdir()
    (tmp_path / "gateway.yaml").write_text("gateway: {id: plant-7}\n")
    for name, text in CHANNELS.items():
        (tmp_path / "channels" / f"{name}.yaml").write_text(text)
    return tmp_path


def told(folder: Path, *words: str) -> int:
    return main([*words, "--config", str(folder), "--socket", str(folder / "none.sock")])


@pytest.mark.parametrize("command", ["add", "scan"])
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("127.0.0.1:99999",), "Port out of range"),
        (("http://x",), "no transport 'http'"),
        (("tcp://",), "tcp://host:port"),
        (("/dev/none2", "--line", "12-3X9"), "9600-8E1"),
        (("a b",), "no channel, host, url or serial port"),
    ],
    ids=str,
)
def test_a_wire_that_cannot_be_is_wrong_usage(folder, capsys, command, words, text):
    assert told(folder, command, "modbus", *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("add", "modbus", "192.0.2.11", "--line", "9600-8N1"), "--line is of a serial port"),
        (("scan", "modbus", "192.0.2.11", "--line", "9600-8N1"), "--line is of a serial port"),
        (("scan", "modbus", "line", "--line", "9600-8N1"), "--line is of a serial port"),
        (("add", "modbus", "/dev/none", "--line", "9600-8N1"), "channel line has this port already, as 19200-8N1"),
        (("scan", "modbus", "/dev/none", "--line", "9600-8N1"), "channel line has this port already, as 19200-8N1"),
        (("add", "modbus", "192.0.2.10", "--channel", "other"), "channel net has this wire already"),
        (("add", "modbus", "192.0.2.10", "--interval", "5s"), "--interval is of a new channel"),
        (("add", "modbus", "192.0.2.11", "--channel", "net"), "there is a channel net already"),
        (("force", "--for", "5s"), "--for needs DEVICE.TAG=VALUE"),
        (("force", "--reason", "x"), "--reason needs DEVICE.TAG=VALUE"),
        (("force", "a.b=1", "--for", "5s", "--release", "all"), "not both"),
        (("maintenance", "--end"), "which device"),
        (("maintenance", "--for", "5s"), "--for needs DEVICE"),
        (("maintenance", "pump", "--end", "--for", "5s"), "--for needs DEVICE without --end"),
    ],
    ids=str,
)
def test_an_option_that_would_be_ignored_is_wrong_usage(folder, capsys, words, text):
    assert told(folder, *words) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("192.0.2.10", "--channel", "net"), ("/dev/none", "--line", "19200-8n1")], ids=" ".join
)
def test_options_that_say_what_is_there_already_are_taken(folder, capsys, words):
    assert told(folder, "add", "modbus", *words, "--unit", "9", "--name", "new") == 0
    assert "+  new:" in capsys.readouterr().out


def test_a_unit_id_that_another_device_has_is_told(folder, capsys):
    assert told(folder, "add", "modbus", "192.0.2.10", "--unit", "1", "--name", "twin") == 0
    assert "unit 1 of channel net is device meter already" in capsys.readouterr().out
    assert told(folder, "add", "modbus", "192.0.2.10", "--unit", "2", "--name", "twin") == 0
    assert "note:" not in capsys.readouterr().out
