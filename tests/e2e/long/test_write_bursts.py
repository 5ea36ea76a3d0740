"""Bursts of writes while a wire is polled as fast as it goes; the device's own log says what happened."""

from __future__ import annotations

import itertools
import json
import time
import uuid

import paho.mqtt.client as paho
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.eventually import wait_until
from tests.support.simulated import Simulated

ROOT = "fp/1/default/gw"
SETPOINTS = 12
PROFILE = {
    "drive": {
        "tags": {
            **{f"r{n}": {"address": f"input/{200 * n}", "type": "uint16"} for n in range(8)},
            **{
                f"s{n}": {"address": f"holding/{n}", "type": "uint16", "access": "rw", "on_demand": True}
                for n in range(SETPOINTS)
            },
        }
    }
}


class Cloud:
    """Sends commands and keeps their results."""

    def __init__(self, port: int) -> None:
        self.results: dict[str, dict] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "cloud", protocol=paho.MQTTv5)
        self._client.on_message = lambda _c, _u, m: self.results.update(
            {m.topic.rpartition("/")[2]: json.loads(m.payload)}
        )
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"{ROOT}/result/#", 1)
        self._client.loop_start()

    def write(self, values: dict[str, object], ttl_ms: int = 10_000) -> str:
        rid = uuid.uuid4().hex
        body = {"v": 1, "rid": rid, "op": "write", "device": "d", "args": {"values": values}, "ttl": ttl_ms}
        self._client.publish(f"{ROOT}/down/command/{rid}", json.dumps(body), 1)
        return rid

    def result(self, rid: str) -> dict:
        wait_until(lambda: rid in self.results, 30, why=lambda: f"a result; there are {self.results}")
        return self.results[rid]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(params=["tcp", "serial"])
def scene(request, make_gateway, make_broker, processes, tmp_path):
    broker = make_broker()
    gateway = make_gateway()
    gateway.write_main(uplinks={"cloud": {"urls": [broker.url]}})
    gateway.write("profiles/drive.yaml", PROFILE)
    place = ["--pty", str(tmp_path / "line"), "--line", "115200-8N1"] if request.param == "serial" else []
    profile = str(gateway.config / "profiles/drive.yaml")
    device = Simulated(processes, tmp_path, profile, "--static", "--response", "15ms", *place)
    channel = yaml.safe_load("{" + device.place + "}")
    channel |= {
        "driver": "modbus",
        "interval": "40ms" if "serial" in channel else "20ms",
        "devices": {"d": {"unit_id": 1, "profile": "drive"}},
    }
    gateway.write("channels/wire.yaml", channel)
    gateway.start()
    cloud = Cloud(broker.port)
    wait_until(lambda: gateway.status()["uplinks"]["cloud"]["state"] == "online", 20, why="online")
    wait_until(lambda: len(device.requests(1)) > 40, 20, why="polled flat out")
    yield gateway, device, cloud
    cloud.close()


def writes(device: Simulated) -> list[tuple[int, int]]:
    """(address, value) of every write that reached the device."""
    return [(row["address"], row["count"]) for row in device.requests(1) if row["function"] in {6, 16}]


def test_a_burst_goes_before_the_polls_and_what_expired_or_was_refused_never_arrives(scene):
    gateway, device, cloud = scene
    for burst in range(5):
        asked = [cloud.write({f"s{n}": 100 * burst + n}) for n in range(SETPOINTS)]
        for rid in asked:
            assert cloud.result(rid)["code"] == 200, cloud.result(rid)
    assert writes(device) == [(n, 100 * burst + n) for burst in range(5) for n in range(SETPOINTS)]
    log = device.requests(1)
    for number, burst in enumerate(bursts(log)):
        # Its own writes and read-backs. Commands that came one by one may be committed in two or three groups, at most
        # ten a second: polls go on until the next group is on disk, and never between two writes of one group.
        functions = [row["function"] for row in burst]
        breaks = sum(here == 4 and before != 4 for before, here in itertools.pairwise(functions))
        assert breaks <= 3, f"burst {number}: {functions}"

    refused = [
        cloud.write({"s1": 70_000}),
        cloud.write({"s1": "warm"}),
        cloud.write({"r1": 5}),
        cloud.write({"s1": 1, "x": 2}),
    ]
    codes = [cloud.result(rid)["code"] for rid in refused]
    assert all(400 <= code < 500 for code in codes), codes
    expired = cloud.write({"s2": 999}, ttl_ms=0)
    assert cloud.result(expired)["code"] in {408, 504}

    assert gateway.cli("maintenance", "d", "--for", "10m", "--reason", "bearing").code == 0
    far = cloud.result(cloud.write({"s3": 998}))
    assert far["code"] == 403, far
    assert gateway.cli("maintenance", "d", "--end").code == 0

    before = len(writes(device))
    device.say("fault silence")
    wait_until(lambda: gateway.status()["channels"]["wire"]["devices"]["d"] == "offline", 40, every=0.2, why="offline")
    late = [cloud.write({f"s{n}": 997}, ttl_ms=3000) for n in range(SETPOINTS)]
    assert all(cloud.result(rid)["code"] in {408, 504} for rid in late)
    device.say("clear")
    wait_until(lambda: gateway.status()["channels"]["wire"]["devices"]["d"] == "online", 60, every=0.2, why="online")
    good = cloud.result(cloud.write({"s0": 42}))
    assert good["code"] == 200
    time.sleep(0.5)
    assert writes(device)[before:] == [(0, 42)], "nothing of what was refused or too late"


@pytest.mark.parametrize("scene", ["tcp"], indirect=True)
def test_what_is_set_by_hand_outlives_an_apply_that_changes_the_device(scene):
    gateway, device, cloud = scene
    assert gateway.cli("maintenance", "d", "--for", "10m", "--reason", "bearing").code == 0
    assert gateway.cli("force", "d.s5=77", "--for", "10m").code == 0
    tags = {**PROFILE["drive"]["tags"], "more": {"address": "input/200", "type": "uint16"}}
    gateway.write("profiles/drive.yaml", {"drive": {"tags": tags}})
    assert gateway.cli("apply").code == 0
    wait_until(lambda: "more" in {row["tag"] for row in gateway.ask("tags")["tags"]}, 10, why="applied")
    assert {issue["id"] for issue in gateway.issues()} >= {"device_maintenance", "tag_forced"}
    rows = {row["tag"]: row for row in gateway.ask("tags")["tags"]}
    assert (rows["s5"]["value"], rows["s5"]["quality"]) == (77, "good/local-override")
    assert cloud.result(cloud.write({"s3": 998}))["code"] == 403
    assert writes(device) == []


def bursts(log):
    """The rows between the first and the last write of each burst."""
    places = [i for i, row in enumerate(log) if row["function"] in {6, 16}]
    for k in range(0, len(places), SETPOINTS):
        yield log[places[k] : places[k + SETPOINTS - 1] + 1]
