"""Commands by id against the installed gateway, a real broker and a Modbus device with a log: done once, answered once,
whatever is killed in between.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator

import paho.mqtt.client as paho
import pytest

from tests.support.cloud import ROOT, Cloud
from tests.support.eventually import wait_until
from tests.support.field_device import FieldDevice
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.scale import scaled

RESET, SHOWN = 20, 30
SETPOINTS = 50
TAGS = {
    "level": {"address": "holding/0", "type": "uint16"},
    "shown": {"address": f"holding/{SHOWN}", "type": "uint16", "on_demand": True},
    # its read-back comes late, so that a kill finds the write done and not yet verified
    "reset": {
        "address": f"coil/{RESET}", "type": "bool", "access": "rw", "momentary": True,
        "verify": {"tag": "lamp", "settle": "500ms"},
    },
    "lamp": {"address": f"coil/{RESET}", "type": "bool", "on_demand": True},
    **{
        f"s{n}": {"address": f"holding/{SETPOINTS + n}", "type": "uint16", "access": "rw", "on_demand": True}
        for n in range(50)
    },
}  # fmt: skip


class Site:
    """A gateway with a device `d` on a wire of its own, and `other` on another."""

    def __init__(self, gateway: Gateway, broker: Broker, device: FieldDevice, other: FieldDevice) -> None:
        self.gateway, self.broker, self.device, self.other = gateway, broker, device, other
        self.clouds: list[Cloud] = []
        gateway.write(
            "gateway.yaml",
            {
                "gateway": {"id": "gw"},
                "clock": {"trust": "always"},
                "store": {"path": str(gateway.state)},
                "uplinks": {"cloud": {"urls": [broker.url]}},
            },
        )
        for name, wire in (("d", device), ("other", other)):
            channel = {
                "driver": "modbus",
                "url": f"tcp://127.0.0.1:{wire.port}",
                "interval": "200ms",
                "timeout": "5s",
                "devices": {name: {"unit_id": 1, "tags": TAGS}},
            }
            gateway.write(f"channels/{name}.yaml", json.dumps(channel))

    def start(self) -> None:
        self.gateway.start()
        self.wait_online()

    def wait_online(self) -> None:
        def online() -> bool:
            status = self.gateway.status()
            devices = {state for channel in status["channels"].values() for state in channel["devices"].values()}
            return status["uplinks"]["cloud"]["state"] == "online" and devices == {"online"}

        wait_until(online, 30, every=0.1, why="devices and uplink are online")

    def restart(self) -> None:
        """Kill -9, and a new start."""
        self.gateway.kill()
        self.gateway.start()

    def cloud(self, **options: object) -> Cloud:
        self.clouds.append(Cloud(self.broker.port, **options))
        return self.clouds[-1]


@pytest.fixture
def site(make_gateway: Callable[..., Gateway], broker: Broker) -> Iterator[Site]:
    device, other = FieldDevice(), FieldDevice()
    made = Site(make_gateway(), broker, device, other)
    yield made
    for cloud in made.clouds:
        cloud.close()
    device.close()
    other.close()


def test_the_same_id_five_times_gives_one_write_and_five_equal_results_and_so_it_is_after_a_kill(site: Site) -> None:
    site.start()
    rows = {row["tag"]: row for row in site.gateway.ask("tags", "d.shown", "d.level")["tags"]}
    assert (rows["shown"].get("asked"), "asked" in rows["level"]) == (False, False)
    cloud = site.cloud()
    for _ in range(5):
        cloud.send("write", "d", {"values": {"s1": 7}}, rid="five")
    wait_until(lambda: len(cloud.finals("five")) >= 5, 30, why="five answers")
    assert cloud.result("five")["items"] == {"s1": {"code": 200, "value": 7, "verified": True}}
    assert site.device.writes() == [(SETPOINTS + 1, 7)]
    site.restart()
    cloud.send("write", "d", {"values": {"s1": 9}}, rid="five")
    wait_until(lambda: len(cloud.finals("five")) >= 6, 30, why="a sixth answer")
    cloud.result("five")
    local = site.gateway.cli("command", "write", "d", "s1=9", "--rid", "five", "--json")
    assert (local.code, local.json) == (0, json.loads(cloud.finals("five")[0]))
    assert site.device.writes() == [(SETPOINTS + 1, 7)]


@pytest.mark.timeout(scaled(300, 3600))
def test_a_momentary_tag_is_pulsed_at_most_once_per_id_and_each_id_has_one_result_over_kills(
    site: Site, seed: int
) -> None:
    draw = random.Random(seed)
    site.start()
    cloud = site.cloud()
    pulses: list[int] = []
    for number in range(scaled(6, 50)):
        before, rid = len(site.device.writes()), f"pulse-{number}"
        cloud.send("write", "d", {"values": {"reset": True}}, rid=rid, ttl=60_000)
        if number % 3:  # between the driver's write and the read-back
            wait_until(lambda seen=before: len(site.device.writes()) > seen, 30, every=0.002, why="the write")
        else:  # anywhere from the arrival on
            time.sleep(draw.uniform(0.0, 0.25))
        site.restart()
        result = cloud.result(rid)
        site.wait_online()
        cloud.send("write", "d", {"values": {"reset": True}}, rid=rid)
        wait_until(lambda rid=rid: len(cloud.finals(rid)) >= 2, 30, why="the same again")
        assert cloud.result(rid) == result
        pulses.append(len(site.device.writes()) - before)
        if number % 3:
            assert (result["state"], result["code"], result["text"]) == ("failed", 500, "interrupted")
            assert result["items"]["reset"]["quality"] == "good", "what a read shows now"
            assert pulses[-1] == 1
    assert max(pulses) <= 1, pulses
    assert set(site.device.writes()) == {(RESET, 0xFF00)}


def test_forty_commands_in_flight_at_a_kill_are_all_answered_after_the_restart(site: Site) -> None:
    site.start()
    site.device.server.slow_s = 0.3
    site.device.server.mode = "slow"
    cloud = site.cloud()
    asked = [cloud.send("write", "d", {"values": {f"s{n}": n + 1}}, rid=f"many-{n}") for n in range(40)]
    wait_until(lambda: len(site.device.writes()) >= 3, 30, every=0.01, why="some are on the wire")
    site.gateway.kill()
    site.device.server.mode = "good"
    answered = {rid for rid in asked if cloud.finals(rid)}
    site.gateway.start()
    results = {rid: cloud.result(rid) for rid in asked}
    assert len(answered) < 40
    for rid, result in results.items():
        done = result["state"] == "done"
        assert done or (result["code"], result["text"]) == (500, "interrupted"), (rid, result)
        assert done or rid not in answered
    writes = site.device.writes()
    assert len(writes) == len(set(writes)), "none was written twice"
    wait_until(lambda: all(len(set(cloud.finals(rid))) == 1 for rid in asked), 5)


def test_a_device_that_answers_after_seconds_does_not_delay_the_others(site: Site) -> None:
    """FL-22: more commands to the slow one than the downlink has slots; the others are answered before it ends."""
    site.start()
    cloud = site.cloud()
    site.device.server.slow_s = 3.0
    site.device.server.mode = "slow"
    slow = [cloud.send("read", "d", {"tags": ["shown"]}, ttl=8000) for _ in range(20)]
    others = [cloud.send("write", "other", {"values": {f"s{n}": n}}) for n in range(20)]
    others += [cloud.send("diagnostics", args={"parts": ["versions"]}) for _ in range(5)]
    for rid in others:
        assert cloud.result(rid)["code"] == 200
    assert not [rid for rid in slow if cloud.finals(rid)], "the slow one has not answered anything yet"
    states = [cloud.result(rid)["state"] for rid in slow]
    assert states[0] == "done"
    assert states[-1] == "expired", "what waited too long never reached it"
    reads = [request for request in site.device.server.requests if request[2] == SHOWN]
    assert len(reads) == states.count("done")
    accepted = [rid for rid in slow if any(json.loads(p)["state"] == "accepted" for p in cloud.answers[rid])]
    assert accepted, "work that takes long says so"


def test_a_command_that_expired_while_the_gateway_was_away_is_refused_and_never_reaches_the_device(site: Site) -> None:
    """FL-20: the link was away for longer than the command's time."""
    site.start()
    cloud = site.cloud()
    cloud.result(cloud.send("read", "d", {"tags": ["level"]}))
    site.gateway.kill()
    late = cloud.send("write", "d", {"values": {"s1": 1}}, exp=int(time.time() * 1000) + 500)
    good = cloud.send("write", "d", {"values": {"s2": 2}}, exp=int(time.time() * 1000) + 600_000)
    time.sleep(1.0)
    site.gateway.start()
    result = cloud.result(late)
    assert (result["state"], result["code"]) == ("expired", 408)
    assert cloud.result(good)["code"] in {200, 504}, "its time is not over"
    assert (SETPOINTS + 1, 1) not in site.device.writes()


def test_an_answer_on_the_response_topic_keeps_its_correlation_over_a_kill_and_a_broker_that_was_away(
    site: Site,
) -> None:
    site.start()
    cloud = site.cloud()
    quick = cloud.send("write", "d", {"values": {"s1": 1}}, correlation=b"\x01quick")
    wait_until(lambda: cloud.responses, 30, why="an answer on the response topic")
    assert cloud.responses == [(cloud.finals(quick)[0], b"\x01quick")]

    # done and on disk, but the broker was gone before it took the result
    site.device.server.slow_s = 1.5
    site.device.server.mode = "slow"
    done = cloud.send("write", "d", {"values": {"s2": 2}}, correlation=b"\x02done")
    wait_until(lambda: (SETPOINTS + 2, 2) in site.device.writes(), 30, every=0.01, why="the write")
    site.broker.stop()
    local = site.gateway.cli("command", "write", "d", "s2=9", "--rid", done, "--json")
    assert local.json["state"] == "done"
    # at work while the gateway is killed
    site.gateway.kill()
    site.device.server.mode = "good"
    site.broker.start()
    site.gateway.start()
    wait_until(lambda: len(cloud.responses) > 1, 60, why="the answer after the restart")
    assert json.loads(cloud.responses[1][0]) == local.json
    assert cloud.responses[1][1] == b"\x02done"
    assert cloud.result(done) == local.json
    assert site.device.writes().count((SETPOINTS + 2, 2)) == 1


def test_mqtt_3_1_1_is_answered_without_properties(site: Site) -> None:
    site.start()
    cloud = site.cloud(level=paho.MQTTv311)
    assert cloud.result(cloud.send("write", "d", {"values": {"s1": 5}}))["code"] == 200
    assert cloud.result(cloud.send("fly", "d"))["code"] == 404
    assert site.device.writes() == [(SETPOINTS + 1, 5)]


def test_what_is_still_held_is_sent_again_as_historical(site: Site, make_sink: Callable[..., object]) -> None:
    site.start()
    sink = make_sink(site.broker.port)
    cloud = site.cloud()
    wait_until(lambda: site.gateway.backlog() == 0 and len(sink.messages) > 5, 30, every=0.2, why="delivered")
    status = site.gateway.status()["journal"]
    epoch, last = status["epoch"], status["streams"]["event"]["last"]
    before = len(sink.messages)
    events = cloud.result(cloud.send("resend", args={"stream": "event", "epoch": epoch, "from": 1, "to": last + 1000}))
    assert events["out"]["sent"][0][0] == 1
    assert events["out"]["not_held"][-1][1] == last + 1000
    readings = cloud.result(cloud.send("resend", args={"stream": "telemetry", "epoch": epoch, "from": 1, "to": 20}))
    assert readings["out"]["sent"][0][0] == 1
    assert readings["out"]["sent"][0][1] >= 20
    none = cloud.result(cloud.send("resend", args={"stream": "telemetry", "epoch": 5, "from": 1, "to": 20}))
    assert none["out"] == {"sent": [], "not_held": [[1, 20]]}

    def again() -> list[dict]:
        bodies = [json.loads(m.payload) for m in sink.messages[before:] if m.topic.startswith(f"{ROOT}/up/")]
        return [body for body in bodies if body.get("historical") and body.get("seq") == 1]

    wait_until(lambda: {body["stream"] for body in again()} == {"event", "telemetry"}, 30, why="both came again")
    assert sink.errors == [], "the same numbers bring the same readings"


def test_the_command_line_does_it_once_and_tells_by_its_exit_status(site: Site) -> None:
    site.start()
    done = site.gateway.cli("command", "write", "d", "s1=5", "--rid", "mine", "--ttl", "10s")
    assert (done.code, done.err) == (0, "")
    assert "mine  done 200" in done.out
    again = site.gateway.cli("command", "write", "d", "s1=6", "--rid", "mine")
    assert again.out == done.out
    assert site.device.writes() == [(SETPOINTS + 1, 5)]
    assert site.gateway.cli("command", "write", "d", "level=5").code == 1
    assert site.gateway.cli("command", "fly").code == 1
    shown = site.gateway.ask("command", "diagnostics", "parts=versions,issues")
    assert set(shown["out"]) == {"versions", "issues"}
    assert site.gateway.ask("command", "demote", "d", "for=10m")["state"] == "done"
    assert site.gateway.ask("command", "force", "d", "level=5", "for=10m", "reason=test")["items"] == {
        "level": {"code": 200}
    }
    assert site.gateway.cli("command", "write", "--args", "[1]").code == 2
    assert site.gateway.cli("command", "demote", "d", "for=soon").code == 2
