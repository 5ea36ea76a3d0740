"""HMIs and PLCs at the gateway's own servers: what they write reaches the device behind, and comes back as it is."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
import yaml

from tests.support.eventually import wait_until
from tests.support.field_device import FieldDevice
from tests.support.parts import command
from tests.support.ports import free_port, is_open

CHANNEL = {
    "driver": "modbus",
    "timeout": "200ms",
    "probe": "500ms",
    "devices": {
        "pump": {
            "interval": "50ms",
            "tags": {
                "flow": {"address": "holding/10", "type": "uint16", "unit": "l/min"},
                "level": {"address": "holding/12", "type": "uint16", "access": "rw"},
                "speed": {
                    "address": "holding/20", "type": "int16", "access": "rw", "range": [0, 1500],
                    "write": {"while": "{pump.flow} > 0"},
                },
                "run": {"address": "coil/2", "type": "bool", "access": "rw"},
            },
        }
    },
}  # fmt: skip
"""The field device has 1000 + n in register n, and even coils are off."""


@pytest.fixture
def field():
    device = FieldDevice()
    yield device
    device.close()


@pytest.fixture
def scene(make_gateway, field):
    gateway, port = make_gateway(), free_port()
    gateway.write("channels/line1.yaml", {**CHANNEL, "url": f"tcp://127.0.0.1:{field.port}"})
    serve(gateway, port)
    gateway.start()
    good(gateway)
    wait_until(lambda: is_open(port), 20, why="the server listens")
    return gateway, port


def serve(gateway, port: int, **more: object) -> None:
    plc = {"kind": "modbus", "listen": f"127.0.0.1:{port}", "write": ["pump.speed", "pump.run"], **more}
    store = {"path": str(gateway.state)}
    gateway.write("gateway.yaml", {"gateway": {"id": "gw"}, "store": store, "servers": {"plc": plc}})


def good(gateway) -> None:
    wait_until(lambda: {row["quality"] for row in gateway.ask("tags")["tags"]} == {"good"}, 20, why="good values")


def mbpoll(port: int, *words: str) -> str:
    """What mbpoll prints: values, or why not."""
    done = subprocess.run(
        [command("mbpoll"), "-m", "tcp", "-p", str(port), "-a", "1", "-0", "-1", "-q", *words],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def read(port: int, table: str, place: int) -> str:
    """The value that mbpoll reads, or its error."""
    text = mbpoll(port, "-t", table, "-r", str(place), "-c", "1", "127.0.0.1")
    found = re.search(r"\[\d+\]:\s+(\S+)", text)
    return found[1] if found else text


def places(gateway) -> dict[str, int]:
    return {
        row["tag"]: int(row["address"].partition("/")[2]) for row in gateway.ask("export", "--server", "plc")["map"]
    }


def test_what_mbpoll_writes_reaches_the_device_behind_and_what_is_refused_does_not(scene, field):
    gateway, port = scene
    at = places(gateway)
    assert read(port, "3", at["pump.flow"]) == "1010"
    assert read(port, "4", at["pump.speed"]) == "1020"
    assert "Written 1" in mbpoll(port, "-t", "4", "-r", str(at["pump.speed"]), "127.0.0.1", "700")
    assert "Written 1" in mbpoll(port, "-t", "0", "-r", str(at["pump.run"]), "127.0.0.1", "1")
    assert field.writes() == [(20, 700), (2, 0xFF00)]
    assert read(port, "4", at["pump.speed"]) == "700"
    assert read(port, "0", at["pump.run"]) == "1"
    assert "Illegal data value" in mbpoll(port, "-t", "4", "-r", str(at["pump.speed"]), "127.0.0.1", "1501")
    field.server.registers[1, 10] = 0
    wait_until(lambda: read(port, "3", at["pump.flow"]) == "0", 20, why="the interlock's tag")
    assert "Illegal data value" in mbpoll(port, "-t", "4", "-r", str(at["pump.speed"]), "127.0.0.1", "800")
    assert gateway.cli("maintenance", "pump", "--for", "1m").code == 0
    assert "Illegal data value" in mbpoll(port, "-t", "0", "-r", str(at["pump.run"]), "127.0.0.1", "0")
    assert field.writes() == [(20, 700), (2, 0xFF00)]

    def written() -> list[dict]:
        return [entry for entry in gateway.ask("audit")["entries"] if entry["what"] == "write"]

    wait_until(lambda: len(written()) == 5, 20, why="the entries are on disk")
    entries = written()
    assert {entry["via"] for entry in entries} == {"plant"}
    assert {entry["who"] for entry in entries} == {"127.0.0.1 (modbus plc)"}
    assert sorted(entry["code"] for entry in entries) == [200, 200, 403, 403, 422]


def test_a_tag_that_is_offered_to_read_is_never_written(scene, field):
    gateway, port = scene
    at = places(gateway)
    assert read(port, "3", at["pump.level"]) == "1012"
    assert "Illegal data address" in mbpoll(port, "-t", "4", "-r", "900", "127.0.0.1", "1")
    assert field.writes() == []


def test_a_silent_device_shows_no_value_and_its_status_says_so(scene, field):
    gateway, port = scene
    at = places(gateway)
    field.server.mode = "silent"
    wait_until(lambda: "device or server failure" in read(port, "3", at["pump.flow"]).lower(), 30, why="no value")
    assert read(port, "3", 60002) == "4"
    assert "ailure" in mbpoll(port, "-t", "0", "-r", str(at["pump.run"]), "127.0.0.1", "1")
    field.server.mode = "good"
    wait_until(lambda: read(port, "3", at["pump.flow"]) == "1010", 30, why="the value is back")
    assert read(port, "3", 60002) == "0"


def test_a_change_of_the_server_restarts_nothing_else_and_keeps_every_place(scene, field):
    gateway, port = scene
    at = places(gateway)
    connections = field.server.connections
    serve(gateway, port, bad="sentinel", select={"tags": ["flow", "speed", "run"]})
    assert gateway.ask("plan")["lines"] == ["~ server plc restarts: bad, tags"]
    assert gateway.cli("apply").code == 0
    wait_until(lambda: gateway.status()["servers"]["plc"]["state"] == "listening", 20, why="it listens again")
    assert places(gateway) == {tag: place for tag, place in at.items() if tag != "pump.level"}
    assert read(port, "3", at["pump.flow"]) == "1010"
    assert field.server.connections == connections


def test_a_port_that_another_program_has_is_an_issue_and_everything_else_runs(scene, tmp_path):
    gateway, _ = scene
    other = free_port()
    holder = subprocess.Popen([sys.executable, "-m", "http.server", str(other), "--bind", "127.0.0.1"], cwd=tmp_path)
    try:
        wait_until(lambda: is_open(other), 20, why="the other program")
        serve(gateway, other)
        assert gateway.cli("apply").code == 0
        wait_until(lambda: "server_port" in {issue["id"] for issue in gateway.issues()}, 20, why="the issue")
        assert gateway.status()["servers"]["plc"]["state"] == "down"
        good(gateway)
    finally:
        holder.send_signal(signal.SIGTERM)
        holder.wait(10)
    wait_until(lambda: gateway.status()["servers"]["plc"]["state"] == "listening", 70, why="it is tried again")
    assert "server_port" not in {issue["id"] for issue in gateway.issues()}


def test_places_outlive_a_kill_and_a_new_tag(scene, field):
    gateway, port = scene
    at = places(gateway)
    tags = {"above": {"address": "holding/11", "type": "uint16"}, **CHANNEL["devices"]["pump"]["tags"]}
    channel = {**CHANNEL, "devices": {"pump": {"interval": "50ms", "tags": tags}}}
    gateway.write("channels/line1.yaml", {**channel, "url": f"tcp://127.0.0.1:{field.port}"})
    assert gateway.cli("apply").code == 0
    wait_until(lambda: gateway.status()["servers"]["plc"]["state"] == "listening", 20, why="it listens again")
    assert at.items() <= places(gateway).items()
    more = places(gateway)
    gateway.kill()
    gateway.start()
    wait_until(lambda: is_open(port), 20, why="the server listens")
    wait_until(lambda: gateway.status()["servers"]["plc"]["state"] == "listening", 20, why="it is up")
    assert places(gateway) == more


def test_a_tag_that_comes_right_after_the_start_moves_nobody(make_gateway, field):
    """What was given a moment ago is not on disk yet, and holds all the same."""
    gateway, port = make_gateway(), free_port()
    gateway.write("channels/line1.yaml", {**CHANNEL, "url": f"tcp://127.0.0.1:{field.port}"})
    serve(gateway, port)
    document = yaml.safe_load((gateway.config / "gateway.yaml").read_text())
    document["store"]["commit_interval"] = "60s"
    gateway.write("gateway.yaml", document)
    gateway.start()
    wait_until(lambda: gateway.status()["servers"]["plc"]["state"] == "listening", 20, why="it listens")
    at = places(gateway)
    tags = {"above": {"address": "holding/11", "type": "uint16"}, **CHANNEL["devices"]["pump"]["tags"]}
    channel = {**CHANNEL, "devices": {"pump": {"interval": "50ms", "tags": tags}}}
    gateway.write("channels/line1.yaml", {**channel, "url": f"tcp://127.0.0.1:{field.port}"})
    assert gateway.cli("apply").code == 0
    wait_until(lambda: gateway.status()["servers"]["plc"]["state"] == "listening", 20, why="it listens again")
    assert at.items() <= places(gateway).items()
