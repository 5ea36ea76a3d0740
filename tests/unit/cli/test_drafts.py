"""scan --draft: what is wrong with the name is told before the wire is asked anything."""

from __future__ import annotations

import pytest

from gateway.cli.main import main
from gateway.cli.session import Exit

CHANNEL = "driver: modbus\nurl: tcp://192.0.2.10\ndevices: {sdm: {unit_id: 1, profile: em}}\n"
PROFILE = "em:\n  tags: {v: {address: holding/0, type: uint16}}\n"


@pytest.fixture
def folder(tmp_path):
    for name, text in {"gateway": "gateway: {id: g}\n", "channels/line": CHANNEL, "profiles/meters": PROFILE}.items():
        file = tmp_path / "config" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "config"


def scan(folder, name):
    words = ["scan", "modbus", "192.0.2.10", "--draft", name, "--config", str(folder)]
    return main([*words, "--state", str(folder.parent / "nobody")])


@pytest.mark.parametrize(
    ("name", "said"),
    [("a b", "is not an id"), ("sdm", "a device sdm already"), ("em", "profiles/meters.yaml has a profile em already")],
)
def test_a_name_that_cannot_be_taken_is_refused_before_the_gateway_is_asked(folder, name, said, capsys):
    assert scan(folder, name) == Exit.USAGE
    assert said in capsys.readouterr().err


def test_a_name_that_is_free_is_not_refused(folder, capsys):
    assert scan(folder, "fresh") == Exit.NOT_RUNNING
    assert "already" not in capsys.readouterr().err
