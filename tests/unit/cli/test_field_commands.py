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
