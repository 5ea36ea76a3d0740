"""The installed gateway and an OPC UA server, as a person at the command line sees them."""

from __future__ import annotations

import pytest

from tests.support.eventually import wait_until
from tests.support.opcua_plant import LINE
from tests.support.opcua_process import PlantProcess
from tests.support.parts import require


@pytest.fixture
def plant():
    require("asyncua")
    made = PlantProcess(5)
    yield made
    made.close()


def test_tags_of_a_server_outlive_its_restart_with_other_namespace_numbers(make_gateway, plant):
    index = plant.tell("index")
    gateway = make_gateway()
    gateway.write_main(uplinks={})
    tags = {
        "speed": {"address": f"ns={index};s=Line.Speed", "type": "float64", "access": "rw"},
        "bad": {"address": "s=Line.Nobody", "type": "float64"},
        "axis": {"address": "s=Line.Axis", "type": "object", "access": "rw"},
    }
    device = {"interval": "100ms", "root": "/Objects/Line", "tags": tags}
    gateway.write(
        "channels/plant.yaml", {"driver": "opcua", "url": plant.url, "namespace": LINE, "devices": {"line": device}}
    )
    gateway.start()

    def rows():
        return {row["tag"]: row for row in gateway.ask("tags")["tags"]}

    def shows(speed):
        found = rows()
        return found["speed"]["quality"] == "good" and found["speed"]["value"] == speed

    wait_until(lambda: shows(100.5) and "why" in rows()["bad"], 15, why=lambda: str(rows()))
    assert rows()["bad"]["why"].startswith("BadNodeIdUnknown")
    asked = gateway.cli("read", "line.bad")
    assert (asked.code, "line.bad: BadNodeIdUnknown" in asked.out) == (1, True), asked
    assert gateway.cli("write", "line.speed=44.5").code == 0
    assert plant.tell("get", "Speed") == 44.5
    assert gateway.cli("write", 'line.axis={"position": 3}').code == 0
    assert rows()["axis"]["value"] == {"position": 3.0, "label": "x", "enabled": True}
    seed = 1
    while plant.tell("index") == index:
        plant.tell("restart", seed)
        seed += 1
    plant.tell("put", "Speed", 77.25, 1_767_225_600_123)
    wait_until(lambda: shows(77.25), 10, why=lambda: str(rows()))
    assert rows()["speed"]["ts"] == 1_767_225_600_123
    assert plant.tell("sessions") == 1
    assert "units" in gateway.status()
    assert gateway.status()["units"]["driver:opcua[plant]"]["attempts"] == 1
    gateway.stop()
    assert plant.tell("sessions") == 0
