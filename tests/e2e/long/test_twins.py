"""FL-73: KubeEdge's twin topics over a real broker: what a program that was written for its edge node sees of a gateway."""

from __future__ import annotations

import json
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.eventually import wait_until
from tests.support.field_device import FieldDevice

BASE = "$hw/events/device"
CHANNEL = """
driver: modbus
url: tcp://127.0.0.1:{port}
defaults: {{interval: 100ms}}
devices:
  press:
    unit_id: 1
    tags:
      setpoint: {{address: holding/0, type: int16, scale: 0.1, access: rw, write: {{max: 100}}}}
      level: {{address: holding/1, type: uint16}}
      mode: {{address: holding/2, type: uint16, access: rw, labels: {{0: Auto, 1: Manual, 2: "by hand"}}}}
      run: {{address: coil/1, type: bool, access: rw, meta: {{name: "run.now"}}}}
      count: {{address: holding/5, type: int16, access: rw}}
      private: {{address: holding/4, type: uint16, local: true}}
  other: {{unit_id: 2, tags: {{level: {{address: holding/1, type: uint16}}}}}}
"""


class App:
    """A program on the broker that keeps what it is told."""

    def __init__(self, port):
        self.told = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "app", protocol=paho.MQTTv311)
        self._client.on_connect = lambda *_: self._client.subscribe([(f"{BASE}/#", 1)])
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _, __, message: self._take(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def _take(self, message):
        topic = message.topic.removeprefix(f"{BASE}/")
        if topic.endswith(("/result", "/document", "/delta")):
            self.told.append((topic, json.loads(message.payload)))

    def bodies(self, topic):
        return [body for at, body in list(self.told) if at == topic]

    def send(self, topic, body, **more):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._client.publish(f"{BASE}/{topic}", payload, qos=1, **more).wait_for_publish(10)

    def flood(self, topic, bodies, qos):
        for body in bodies:
            self._client.publish(f"{BASE}/{topic}", json.dumps(body), qos=qos)

    def ask(self, topic, body, number):
        """The result of a message with `event_id` number."""
        self.send(topic, {"event_id": str(number), **body})

        def result():
            return [each for each in self.bodies(f"{topic}/result") if each.get("event_id") == str(number)]

        (found,) = wait_until(result, 15, why=f"the result of {topic} {body}")
        return found

    def states(self):
        return [body["device"]["state"] for body in self.bodies("press/state/update/result")]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def press():
    made = FieldDevice()
    made.server.registers.update({(1, 0): 215, (1, 1): 7, (1, 2): 1, (1, 4): 9, (1, 5): 3})
    made.server.coils[1, 1] = False
    yield made
    made.close()


@pytest.fixture
def app(broker):
    made = App(broker.port)
    yield made
    made.close()


def scene(make_gateway, broker, press, authority):
    gateway = make_gateway()
    cloud = {"urls": [broker.url], "twins": "kubeedge", "select": {"devices": ["press"]}}
    main = {
        "gateway": {"id": "gw"}, "store": {"path": str(gateway.state)}, "uplinks": {"cloud": cloud},
        "shadow": {"authority": authority},
    }  # fmt: skip
    gateway.write("gateway.yaml", main)
    gateway.write("channels/line.yaml", CHANNEL.format(port=press.port))
    return gateway.start()


@pytest.mark.parametrize("authority", ["cloud", "gateway"])
def test_twins_are_asked_for_wanted_and_told(make_gateway, broker, press, app, authority):
    gateway = scene(make_gateway, broker, press, authority)
    wait_until(lambda: app.states()[-1:] == ["online"], 20, why="its state is told")

    def values(number):
        twins = app.ask("press/twin/get", {}, number)["twin"]
        return {name: (twin["metadata"]["type"], twin.get("actual", {}).get("value")) for name, twin in twins.items()}

    assert values(1) == {
        "setpoint": ("float", "21.5"), "level": ("int", "7"), "mode": ("string", "Manual"), "run.now": ("boolean", "false"),
        "count": ("int", "3"),
    }  # fmt: skip

    # what is wanted is written by the way of all writes, and told
    wish = {"setpoint": {"expected": {"value": "30.5"}}, "run.now": {"expected": {"value": "true"}}}
    answer = app.ask("press/twin/update", {"twin": wish}, 2)
    assert "code" not in answer and answer["twin"]["setpoint"]["expected"]["value"] == "30.5"
    wait_until(lambda: press.server.registers[1, 0] == 305 and press.server.coils[1, 1], 15, why="written")

    def document_of(name):
        return [body["twin"][name] for body in app.bodies("press/twin/update/document") if name in body["twin"]]

    def shows(name, value):
        return [each["current"]["actual"]["value"] for each in document_of(name)][-1:] == [value]

    wait_until(lambda: shows("setpoint", "30.5"), 15, why="the new value")
    app.ask("press/twin/update", {"twin": {"mode": {"expected": {"value": "Auto"}}}}, 3)
    wait_until(lambda: press.server.registers[1, 2] == 0, 15, why="a label is a value")

    # a value that changes by itself
    press.server.registers[1, 1] = 8
    wait_until(lambda: shows("level", "8"), 15, why="a change is told")
    assert document_of("level")[-1]["last"]["actual"]["value"] == "7"
    assert not document_of("private")

    # what cannot be expressed is left out and counted, and never cut
    press.server.registers[1, 2] = 2
    wait_until(lambda: gateway.status()["uplinks"]["cloud"]["twins"]["left_out"] == 1, 15, why="it is counted")
    assert "mode" not in values(4)

    # it is nobody's of other uplinks, and nobody's without a device
    app.send("other/twin/get", {"event_id": "x"})
    assert app.ask("nobody/twin/get", {}, 5)["code"] == 404
    assert not app.bodies("other/twin/get/result")
    assert gateway.stop() == 0


def test_what_is_refused_is_told_with_a_code_and_changes_nothing(make_gateway, broker, press, app):
    gateway = scene(make_gateway, broker, press, "gateway")
    wait_until(lambda: app.states()[-1:] == ["online"], 20, why="online")
    number = 0
    for twin, code in (
        ({"setpoint": {"expected": {"value": "much"}}}, 400),
        ({"setpoint": {"expected": {"value": 5}}}, 400),
        ({"run.now": {"expected": {"value": "1"}}}, 400),
        ({"setpoint": {"expected": {"value": "500"}}}, 400),
        ({"level": {"expected": {"value": "5"}}}, 400),
        ({"count": {"expected": {"value": "99999999"}}}, 400),
        ({"setpoint": {"expected": {"value": "30"}}, "count": {"expected": {"value": "99999999"}}}, 400),
        ({"nothing": {"expected": {"value": "5"}}}, 404),
        ({"two words": {"expected": {"value": "5"}}}, 400),
        ({"level": {"actual": {"value": "5"}}}, 409),
        ({"setpoint": {"expected": {"value": "5"}, "expected_version": {"cloud": 77, "edge": 0}}}, 409),
        ({"setpoint": {"expected": {"value": "5"}}, "level": {"expected": {"value": "5"}}}, 400),
        ({"setpoint": None}, 404),
        ({"level": None}, 400),
        ([], 400),
    ):
        number += 1
        answer = app.ask("press/twin/update", {"twin": twin}, number)
        assert (answer["code"], bool(answer["reason"])) == (code, True), (twin, answer)
    for junk in (b"", b"\xff", b"[" * 5000, b"{" + b" " * 70_000 + b"}"):
        app.send("press/twin/update", junk)
    wait_until(lambda: len([b for b in app.bodies("press/twin/update/result") if b["event_id"] == ""]) == 4, 15)
    assert app.ask("press/state/update", {"device": {"state": "offline"}}, 90)["code"] == 409
    assert app.ask("press/state/update", {"device": {"state": "asleep"}}, 91)["code"] == 400
    assert app.ask("press/state/update", {"device": {"state": "online"}}, 92)["device"]["state"] == "online"
    assert press.writes() == []
    assert gateway.status()["uplinks"]["cloud"]["twins"]["refused"] == number + 6
    assert gateway.stop() == 0


def test_a_wish_outlives_a_device_that_is_away_and_can_be_taken_back(make_gateway, broker, press, app):
    gateway = scene(make_gateway, broker, press, "gateway")
    wait_until(lambda: app.states()[-1:] == ["online"], 20, why="online")
    press.server.mode = "silent"
    wait_until(lambda: app.states()[-1] == "offline", 30, why="away")
    answer = app.ask("press/twin/update", {"twin": {"setpoint": {"expected": {"value": "12"}}}}, 1)
    assert answer["twin"]["setpoint"]["expected"]["value"] == "12"

    def deltas():
        return [body["delta"] for body in app.bodies("press/twin/update/delta")]

    wait_until(lambda: {"setpoint": "12"} in deltas(), 15, why="the difference is told")
    gateway.kill()
    press.server.mode = "good"
    gateway.start()
    wait_until(lambda: press.server.registers[1, 0] == 120, 30, why="written when it is back, over a kill")
    wait_until(lambda: app.states()[-1] == "online", 30, why="back")
    version = app.ask("press/twin/get", {}, 2)["twin"]["setpoint"]["expected_version"]
    body = {"setpoint": {"expected": {"value": "13"}, "expected_version": version}}
    assert "code" not in app.ask("press/twin/update", {"twin": body}, 3)
    wait_until(lambda: press.server.registers[1, 0] == 130, 15, why="a version that is right is taken")
    answer = app.ask("press/twin/update", {"twin": {"setpoint": None}}, 4)
    assert "code" not in answer and "expected" not in answer["twin"]["setpoint"]
    assert press.server.registers[1, 0] == 130, "what is no longer wanted stays as it is"
    assert gateway.stop() == 0


@pytest.mark.parametrize("authority", ["cloud", "gateway"])
def test_a_result_shows_what_its_own_update_made(make_gateway, broker, press, app, authority):
    app.send("press/twin/update", {"event_id": "old", "twin": {"count": {"expected": {"value": "9"}}}}, retain=True)
    gateway = scene(make_gateway, broker, press, authority)
    wait_until(lambda: app.states()[-1:] == ["online"], 20, why="online")
    wait_until(lambda: gateway.status()["uplinks"]["cloud"]["twins"]["retained"] == 1, 15, why="a retained one")

    # each result has its own value, and of two that know the same version one is taken
    bodies = [
        {"event_id": f"e{number}", "twin": {"setpoint": {"expected": {"value": str(number)}}}} for number in range(40)
    ]
    app.flood("press/twin/update", bodies, qos=1)

    def results():
        return [body for body in app.bodies("press/twin/update/result") if body["event_id"].startswith("e")]

    wait_until(lambda: len(results()) == 40, 20, why="all results")
    shown = {body["event_id"]: body["twin"]["setpoint"]["expected"]["value"] for body in results()}
    assert shown == {f"e{number}": str(number) for number in range(40)}
    versions = [body["twin"]["setpoint"]["expected_version"]["cloud"] for body in results()]
    if authority == "gateway":
        assert len(set(versions)) == 40
        twin = {"setpoint": {"expected": {"value": "77"}, "expected_version": {"cloud": max(versions), "edge": 0}}}
        app.flood("press/twin/update", [{"event_id": "v1", "twin": twin}, {"event_id": "v2", "twin": twin}], qos=1)

        def both():
            return [body for body in app.bodies("press/twin/update/result") if body["event_id"] in {"v1", "v2"}]

        wait_until(lambda: len(both()) == 2, 15, why="both results")
        assert sorted(body.get("code", 200) for body in both()) == [200, 409]
    assert not [body for body in app.bodies("press/twin/update/result") if body["event_id"] == "old"]
    assert press.server.registers[1, 5] == 3, "a retained message is ignored"
    assert gateway.stop() == 0


def test_a_flood_of_updates_keeps_nobody_from_asking(make_gateway, broker, press, app):
    gateway = scene(make_gateway, broker, press, "gateway")
    wait_until(lambda: app.states()[-1:] == ["online"], 20, why="online")
    wish = {"event_id": "flood", "twin": {"setpoint": {"expected": {"value": "12"}}}}
    app.flood("press/twin/update", [wish] * 5_000, qos=0)
    assert app.ask("press/twin/get", {}, 1)["twin"]["count"]["actual"]["value"] == "3"
    wait_until(lambda: press.server.registers[1, 0] == 120, 15, why="what was taken is written")
    assert gateway.stop() == 0
