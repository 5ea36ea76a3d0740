"""Desired states of a real device through a real broker: in effect once, whatever was away meanwhile.

The device's own log of requests says what was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.drivers.modbus.fault_server import FaultServer
from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.mosquitto import Broker
from tests.support.shadow_cloud import ShadowCloud as Cloud

WRITES = {5, 6, 15, 16}
TAGS = {
    "temp": {"address": "holding/10", "type": "int16", "scale": 0.1, "access": "rw", "range": [0, 400]},
    "mode": {"address": "holding/11", "type": "uint16", "access": "rw"},
    "fan": {"address": "coil/3", "type": "bool", "access": "rw"},
    "reset": {"address": "coil/9", "type": "bool", "access": "w", "momentary": True},
    "power": {"address": "input/5", "type": "uint16"},
}


class Clamping(FaultServer):
    """Register 11 never goes above 100; `refused` registers answer a write with exception 3."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[int] = set()
        self.quiet_on_write = 0
        """So many writes are taken and never answered."""

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        if pdu[0] == 6 and int.from_bytes(pdu[1:3], "big") in self.refused:
            return bytes([pdu[0] | 0x80, 3])
        answer = super()._answer(unit, pdu)
        if (unit, 11) in self.registers:
            self.registers[unit, 11] = min(100, self.registers[unit, 11])
        return answer

    def _react(self, writer: asyncio.StreamWriter, tid: int, unit: int, pdu: bytes) -> None:
        if pdu[0] in WRITES and self.quiet_on_write:
            self.quiet_on_write -= 1
            self.requests.append((unit, pdu[0], *divmod(int.from_bytes(pdu[1:5], "big"), 65536)))
            self._answer(unit, pdu)
            return
        super()._react(writer, tid, unit, pdu)

    def writes(self) -> list[tuple[int, int]]:
        """(address, value) of every write that came."""
        return [(address, value) for _, function, address, value in self.requests if function in WRITES]


class Scene:
    """One device, one gateway, one broker, the cloud."""

    def __init__(self, device: Clamping, gateway: Gateway, broker: Broker) -> None:
        self.device = device
        self.gateway = gateway
        self.broker = broker
        self.cloud: Cloud = None  # type: ignore[assignment]

    async def start(self) -> None:
        await asyncio.to_thread(self.gateway.start)
        await eventually(self.online, 30, every=0.1, why="the device is online")

    async def online(self) -> bool:
        return (await self.state()) == "online"

    async def state(self) -> str:
        status = await asyncio.to_thread(self.gateway.status)
        return str(status["channels"]["line1"]["devices"].get("m"))

    async def wait_state(self, *states: str) -> None:
        async def there() -> bool:
            return await self.state() in states

        await eventually(there, 40, every=0.1, why=f"the device is {states}")

    async def call(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """A waiting call of the cloud or the command line, while the device goes on answering."""
        return await asyncio.to_thread(function, *args, **more)


@pytest.fixture
async def scene(make_gateway, make_broker) -> AsyncIterator[Scene]:
    async with Clamping().running() as device:
        device.registers[1, 10], device.registers[1, 11] = 200, 3
        broker = await asyncio.to_thread(make_broker)
        gateway = make_gateway()
        gateway.write_main(uplinks={"cloud": {"urls": [broker.url], "reconnect": {"max": "1s"}}})
        gateway.write(
            "channels/line1.yaml",
            {
                "driver": "modbus",
                "url": f"tcp://127.0.0.1:{device.port}",
                "interval": "200ms",
                "timeout": "300ms",
                "probe": "1s",
                "devices": {"m": {"tags": TAGS}},
            },
        )
        made = Scene(device, gateway, broker)
        made.cloud = await asyncio.to_thread(Cloud, broker.port)
        await made.start()
        yield made
        await asyncio.to_thread(made.cloud.close)


async def test_a_desired_value_is_written_once_read_back_and_reported(scene):
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0, mode=3)
    scene.cloud.desired("m", 5, {"temp": 21.5, "mode": 3})
    body = await scene.call(scene.cloud.wait_reported, "m", temp=21.5)
    await scene.call(scene.cloud.wait_applied, "m", "temp", "ok")
    assert body["desired_ver"] == 5
    assert body["state"]["mode"] == 3
    assert "power" not in body["state"], "read-only tags are reported where the profile asks for it"
    assert "reset" not in body["state"]
    assert scene.device.writes() == [(10, 215)], "what is so already is not written"
    scene.cloud.desired("m", 5, {"temp": 21.5, "mode": 3})
    scene.cloud.desired("m", 6, body["state"])
    await scene.call(scene.cloud.wait_applied, "m", "mode", "ok")
    await eventually(lambda: scene.cloud.reported["m"]["desired_ver"] == 6, 20)
    assert scene.device.writes() == [(10, 215)], "an echo writes nothing (FL-19)"
    before = len(scene.cloud.published)
    rid = scene.cloud.command("resync", None, {})
    assert (await scene.call(scene.cloud.result, rid))["code"] == 200
    await eventually(lambda: len(scene.cloud.published) > before, 20, why="the reported document once more")


async def test_fl_17_what_was_desired_while_the_gateway_was_offline_or_stopped_is_written_exactly_once(scene):
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0)
    await scene.call(scene.gateway.stop)
    scene.cloud.desired("m", 7, {"temp": 22.0})
    await scene.start()
    await scene.call(scene.cloud.wait_applied, "m", "temp", "ok")
    assert scene.device.writes() == [(10, 220)]

    await scene.call(scene.cloud.close)
    await scene.call(scene.broker.stop)
    await scene.call(scene.broker.start)
    other = await asyncio.to_thread(Cloud, scene.broker.port, "fp/1/default/gw", "cloud-2")
    other.desired("m", 8, {"temp": 23.0})
    await scene.call(other.wait_reported, "m", temp=23.0)
    await scene.call(other.wait_applied, "m", "temp", "ok")
    assert scene.device.writes() == [(10, 220), (10, 230)]
    for _ in range(2):
        await scene.call(scene.gateway.kill)
        await scene.start()
    other.desired("m", 6, {"temp": 5.0})  # a broker restored from an old copy
    scene.cloud = other
    await scene.call(scene.cloud.wait_reported, "m", temp=23.0)
    await asyncio.sleep(1.0)
    assert scene.device.writes() == [(10, 220), (10, 230)], "neither a restart nor an old document writes"


async def test_fl_18_what_changed_at_the_device_while_the_line_to_the_cloud_was_cut_is_reported_after_it(scene):
    await scene.call(scene.cloud.wait_reported, "m", mode=3)
    await scene.call(scene.broker.stop)
    scene.device.registers[1, 11] = 44
    await eventually(lambda: len(scene.device.requests), 10)
    await scene.call(scene.broker.start)
    await scene.call(scene.cloud.wait_reported, "m", mode=44)
    view = (await scene.call(scene.gateway.ask, "shadow", "get", "m"))["shadows"][0]
    assert view["reported"]["mode"]["value"] == 44
    assert scene.device.writes() == []


async def test_a_device_that_refuses_clamps_or_is_silent_is_told_with_its_reason(scene):
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0)
    scene.device.refused = {10}
    scene.cloud.patch("m", 10, {"temp": 30.0})
    refused = await scene.call(scene.cloud.wait_rejected, "m", "temp", 422)
    assert refused["state"] == "rejected"
    assert refused["desired_ver"] == 10
    scene.cloud.patch("m", 11, {"mode": 250})
    clamped = await scene.call(scene.cloud.wait_rejected, "m", "mode", 500)
    assert clamped["state"] == "failed"
    assert "100" in clamped["text"]
    await scene.call(scene.cloud.wait_reported, "m", mode=100)
    assert scene.device.writes() == [(10, 300), (11, 250)]

    scene.device.refused, scene.device.mode = set(), "silent"
    await scene.wait_state("offline", "demoted")
    scene.cloud.patch("m", 12, {"temp": 25.0})
    waits = await scene.call(scene.cloud.wait_rejected, "m", "temp", 504)
    assert waits["state"] == "pending"
    scene.device.mode = "good"
    await scene.call(scene.cloud.wait_applied, "m", "temp", "ok")
    await scene.call(scene.cloud.wait_reported, "m", temp=25.0)
    assert scene.device.writes()[2:] == [(10, 250)], "written once, when it was back"


async def test_a_write_whose_answer_never_came_is_read_first_and_not_written_twice(scene):
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0)
    scene.device.quiet_on_write = 1
    scene.cloud.patch("m", 3, {"temp": 24.0})
    await scene.call(scene.cloud.wait_applied, "m", "temp", "ok")
    assert scene.device.writes() == [(10, 240)]


async def test_a_change_at_the_panel_while_the_line_was_cut_is_reported_and_never_overwritten(scene):
    scene.cloud.desired("m", 2, {"temp": 21.0})
    await scene.call(scene.cloud.wait_applied, "m", "temp", "ok")
    scene.device.mode = "silent"
    await scene.wait_state("offline", "demoted")
    scene.device.registers[1, 10] = 333
    before = len(scene.device.writes())
    scene.device.mode = "good"
    await scene.wait_state("online")

    async def shown() -> bool:
        view = (await scene.call(scene.gateway.ask, "shadow", "get", "m"))["shadows"][0]
        return view["reported"]["temp"]["value"] == 33.3 and view["delta"] == {"temp": 21.0}

    await eventually(shown, 20, every=0.2, why="the gateway shows the panel's value and the delta")
    assert len(scene.device.writes()) == before


async def test_what_cannot_be_desired_is_refused_whole_and_changes_nothing(scene):
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0)
    cases = [
        ({"temp": 22.0, "power": 1}, "power", 403),
        ({"temp": 22.0, "reset": True}, "reset", 403),
        ({"temp": 22.0, "nothing": 1}, "nothing", 404),
        ({"mode": 1, "temp": 4000}, "temp", 422),
        ({"mode": 1, "temp": "warm"}, "temp", 400),
    ]
    for number, (state, path, code) in enumerate(cases):
        scene.cloud.patch("m", 20 + number, state)
        await scene.call(scene.cloud.wait_rejected, "m", path, code)
    scene.cloud.publish("shadow/m/desired/patch", b"\x80garbage")
    await scene.call(scene.cloud.wait_rejected, "m", "", 400)
    scene.cloud.publish("shadow/nobody/desired", {"v": 1, "ver": 1, "state": {"a": 1}})
    await scene.call(scene.cloud.wait_rejected, "nobody", "", 404)
    assert scene.device.writes() == []
    view = (await scene.call(scene.gateway.ask, "shadow", "get", "m"))["shadows"][0]
    assert view["desired"] == {}
    assert view["desired_ver"] == 0


async def test_one_bad_leaf_of_a_document_is_refused_alone(scene):
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0)
    scene.cloud.desired("m", 3, {"temp": 4000, "mode": 7, "power": 1})
    await scene.call(scene.cloud.wait_applied, "m", "mode", "ok")
    bad = await scene.call(scene.cloud.wait_rejected, "m", "temp", 422)
    assert bad["desired_ver"] == 3
    await scene.call(scene.cloud.wait_rejected, "m", "power", 403)
    scene.cloud.desired("m", 4, {"temp": 22.0, "mode": 7})
    await scene.call(scene.cloud.wait_applied, "m", "temp", "ok")
    assert scene.device.writes() == [(11, 7), (10, 220)]


async def test_an_edit_at_the_gateway_applies_at_once_and_the_cloud_overrules_or_adopts_it(scene):
    scene.cloud.desired("m", 2, {"temp": 21.0})
    await scene.call(scene.cloud.wait_applied, "m", "temp", "ok")
    answer = await scene.call(scene.gateway.cli, "shadow", "set", "m.temp=26.5")
    assert answer.code == 0, answer
    await scene.call(scene.cloud.wait_reported, "m", temp=26.5)
    await eventually(lambda: scene.cloud.reported["m"].get("local", {}).get("temp", [0])[0] == 26.5, 20)
    scene.cloud.patch("m", 3, {"temp": 26.5})
    await eventually(lambda: "local" not in scene.cloud.reported["m"], 20, why="adopted")
    assert scene.device.writes() == [(10, 210), (10, 265)]
    await scene.call(scene.gateway.cli, "shadow", "set", "m.temp=27")
    await scene.call(scene.cloud.wait_reported, "m", temp=27.0)
    scene.cloud.patch("m", 4, {"temp": 22.0})
    lost = await scene.call(scene.cloud.wait_rejected, "m", "temp", 409)
    assert "cloud_wins" in lost["text"]
    await scene.call(scene.cloud.wait_reported, "m", temp=22.0)
