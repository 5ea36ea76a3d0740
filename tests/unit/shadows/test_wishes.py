"""What the configuration wants of tags (`desired`): once, and only where nobody else has wanted anything."""

from __future__ import annotations

import json

import pytest

from gateway.model import DeviceState, ValueType
from tests.support.shadowed import ScriptedDevice, ShadowGateway, device_spec, state_tag

DEV = "dev"


def make(path, **device):
    specs = (
        state_tag("speed", desired=55),
        state_tag("set/temp", ValueType.FLOAT32, desired=21.5),
        state_tag("mode", ValueType.STRING),
    )
    scripted = ScriptedDevice({"speed": 10, "set/temp": 20.0, "mode": "auto"})
    for name, value in device.items():
        setattr(scripted, name, value)
    gateway = ShadowGateway(path / "state", {DEV: (device_spec(*specs), scripted)})
    gateway.open()
    return gateway, scripted


async def start(gateway):
    gateway.start()
    gateway.poll(DEV)
    await gateway.advance(5)


async def again(gateway):
    """A power cut and a new start."""
    await gateway.kill()
    gateway.wires.cut = False
    gateway.open()
    await start(gateway)


def document(ver, **state):
    return json.dumps({"v": 1, "ver": ver, "state": state}).encode()


async def test_a_wish_is_desired_and_written_once_over_any_number_of_starts(tmp_path):
    gateway, device = make(tmp_path)
    await start(gateway)
    assert sorted(device.log) == [("set/temp", 21.5), ("speed", 55)]
    view = await gateway.do(gateway.desk.view(DEV))
    assert {path: leaf["value"] for path, leaf in view["desired"].items()} == {"set.temp": 21.5, "speed": 55}
    assert {one["state"] for one in view["apply"].values()} == {"ok"}
    device.values["speed"] = 7
    for _ in range(2):
        await again(gateway)
    assert len(device.log) == 2, "somebody turned it at the device: that stays"
    await gateway.close()


async def test_a_device_that_is_away_gets_it_when_it_is_back(tmp_path):
    gateway, device = make(tmp_path, state=DeviceState.OFFLINE)
    await start(gateway)
    assert device.log == []
    await again(gateway)
    device.state = DeviceState.ONLINE
    gateway.poll(DEV)
    await gateway.advance(5)
    assert sorted(device.log) == [("set/temp", 21.5), ("speed", 55)]
    await gateway.close()


async def test_what_the_cloud_wanted_before_stays_and_what_it_wants_later_wins(tmp_path):
    gateway, device = make(tmp_path)
    assert await gateway.do(gateway.desk.desired(DEV, document(1, speed=30))) is None
    await start(gateway)
    assert sorted(device.log) == [("set/temp", 21.5), ("speed", 30)]
    assert await gateway.do(gateway.desk.desired(DEV, document(2, speed=30, set={"temp": 18}))) is None
    await gateway.advance(5)
    assert device.log[-1] == ("set/temp", 18)
    await gateway.close()


async def test_a_desired_value_that_was_deleted_does_not_come_back(tmp_path):
    gateway, device = make(tmp_path)
    await start(gateway)
    assert await gateway.do(gateway.desk.desired(DEV, document(1))) is None
    await again(gateway)
    view = await gateway.do(gateway.desk.view(DEV))
    assert view["desired"] == {}
    assert len(device.log) == 2
    await gateway.close()


async def test_a_tombstone_and_an_edit_made_before_are_respected(tmp_path):
    gateway, device = make(tmp_path)
    refused, _ = await gateway.do(
        gateway.desk.patch(DEV, json.dumps({"v": 1, "ver": 1, "state": {"speed": 5}}).encode())
    )
    assert refused is None
    await gateway.do(gateway.desk.patch(DEV, json.dumps({"v": 1, "ver": 2, "state": {"speed": None}}).encode()))
    await gateway.do(gateway.desk.set(DEV, {"set/temp": 25.0}, who="anna"))
    await start(gateway)
    assert device.log == [("set/temp", 25.0)]
    await gateway.close()


@pytest.mark.parametrize("authority", ["cloud", "gateway"])
async def test_whoever_gives_the_versions_may_change_it_at_the_gateway(tmp_path, authority):
    gateway, device = make(tmp_path)
    gateway.settings = type(gateway.settings)(authority=authority)
    await start(gateway)
    await gateway.do(gateway.desk.set(DEV, {"speed": 60}, who="anna"))
    await gateway.advance(5)
    assert device.log[-1] == ("speed", 60)
    await gateway.close()
