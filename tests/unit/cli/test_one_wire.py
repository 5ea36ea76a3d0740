"""A wire that is written in two ways is one wire."""

from __future__ import annotations

import pytest

from gateway.cli.main import main
from gateway.cli.session import Exit


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config/channels").mkdir(parents=True)
    (tmp_path / "config/gateway.yaml").write_text("gateway: {id: g}\n")
    return tmp_path / "config"


@pytest.fixture
def ports(tmp_path):
    """A port, and the name by which its adapter is known."""
    port, by_id = tmp_path / "ttyUSB0", tmp_path / "usb-adapter-if00"
    port.touch()
    by_id.symlink_to(port)
    return str(port), str(by_id)


def channel(folder, name, where):
    text = f"driver: modbus\n{where}\ndevices: {{{name}m: {{unit_id: 1, tags: {{}}}}}}\n"
    (folder / f"channels/{name}.yaml").write_text(text)


def add(folder, target):
    words = ["add", "modbus", target, "--unit", "2", "--name", "second", "--config", str(folder), "--write"]
    return main([*words, "--state", str(folder.parent / "nobody")])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_port_under_its_other_name_is_the_channel_that_holds_it(folder, ports, swapped):
    held, given = reversed(ports) if swapped else ports
    channel(folder, "bus", f"serial: {{port: {held}}}")
    assert add(folder, given) == Exit.OK
    assert [file.name for file in (folder / "channels").iterdir()] == ["bus.yaml"]
    assert "second:" in (folder / "channels/bus.yaml").read_text()


def test_two_channels_on_one_port_are_refused_whatever_its_names(folder, ports, capsys):
    channel(folder, "a", f"serial: {{port: {ports[0]}}}")
    channel(folder, "b", f"serial: {{port: {ports[1]}}}")
    assert main(["check", "--config", str(folder)]) == Exit.BAD_CONFIG
    said = capsys.readouterr()
    assert "takes 1 channel, and channel `a` uses it too" in said.out + said.err


def test_a_port_that_is_not_plugged_in_is_known_by_the_name_that_is_written(folder):
    channel(folder, "a", "serial: {port: /dev/serial/by-id/none-a}")
    channel(folder, "b", "serial: {port: /dev/serial/by-id/none-b}")
    assert main(["check", "--config", str(folder)]) == Exit.OK


def test_a_server_that_a_channel_with_a_limit_of_connections_holds_is_that_channel(folder):
    channel(folder, "net", "url: tcp://127.0.0.1:15020\nconnections: 2")
    assert add(folder, "127.0.0.1:15020") == Exit.OK
    assert [file.name for file in (folder / "channels").iterdir()] == ["net.yaml"]
