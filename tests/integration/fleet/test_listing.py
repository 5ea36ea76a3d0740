"""Gateways from retained status messages and births, in one look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from gateway.fleet import BrokerAway, BrokerRefuses, Change, Fleet, FleetError, NoAnswer
from gateway.uplink.birth import make_birth
from gateway.uplink.ports import DeviceRow, Identity, TagRow
from tests.integration.fleet.conftest import Raw, operator
from tests.integration.uplink.peer import Peer, Script
from tests.support.eventually import eventually
from tests.support.ports import free_port


class Model:
    """A model of some devices with two tags each."""

    def __init__(self, devices: int) -> None:
        names = [f"d{number}" for number in range(devices)]
        self.devices = [DeviceRow(name, "sim", "press") for name in names]
        tags = [(name, tag) for name in names for tag in ("temp", "setpoints/run")]
        self.rows = [
            TagRow(number, device, tag, "float32", "degC", "rw" if "/" in tag else "r")
            for number, (device, tag) in enumerate(tags, 10)
        ]
        self.dict_no = 1


def status(session: int = 1, epoch: int = 1794000000, **more: Any) -> dict[str, Any]:
    body = {"v": 1, "online": True, "session": session, "epoch": epoch, "boot": "b", "version": "0.3.0"}
    return body | {"codec": "json", "proof": "full", "clock": "s", "ts": 1795000004000, "streams": {}} | more


def publish_gateway(raw: Raw, name: str, devices: int = 2, limit: int = 256_000, **more: Any) -> None:
    birth = make_birth(Identity(name, "default", "0.3.0", "b"), Model(devices), limit)
    for message in birth.messages:
        raw.publish(message.topic, message.payload)
    raw.publish(f"fp/1/default/{name}/status", status(birth=birth.hash, **more))


async def test_two_hundred_gateways_are_listed_at_once(broker: Any, raw: Raw) -> None:
    for number in range(200):
        publish_gateway(raw, f"gw-{number:03d}", online=number % 10 != 0)
    async with operator(broker.url) as fleet:
        found = await fleet.gateways()
        assert [each.id for each in found] == [f"gw-{number:03d}" for number in range(200)]
        assert sum(each.online is True for each in found) == 180
        assert {(each.devices, each.tags, each.version, each.proof) for each in found} == {(2, 4, "0.3.0", "full")}
        assert fleet.ignored == 0


async def test_garbage_is_ignored_and_counted(broker: Any, raw: Raw) -> None:
    publish_gateway(raw, "good")
    for number, payload in enumerate([b"{", b"\xff\x00", b"[1]", b'{"v":2}', b'{"v":1,"online":"yes"}', b"{}" * 3000]):
        raw.publish(f"fp/1/default/bad{number}/status", payload)
        raw.publish(f"fp/1/default/bad{number}/birth", payload)
    raw.publish("fp/1/default/good/birth/7", {"v": 1, "hash": "x", "part": 1})
    async with operator(broker.url) as fleet:
        assert [each.id for each in await fleet.gateways()] == ["good"]
        assert fleet.ignored == 13


async def test_a_birth_in_parts_is_put_together(broker: Any, raw: Raw) -> None:
    publish_gateway(raw, "gw", devices=50, limit=1000)
    async with operator(broker.url) as fleet:
        devices = await fleet.devices("gw")
        assert len(devices) == 50
        assert [(tag.tag, tag.access) for tag in devices[0].tags] == [("setpoints/run", "rw"), ("temp", "r")]
        assert (await fleet.gateway("gw")).tags == 100
        raw.publish("fp/1/default/gw/birth/2", b"")
        with pytest.raises(FleetError, match="rebirth"):
            await fleet.devices("gw")
        assert (await fleet.gateway("gw")).tags is None, "an unfinished birth counts nothing"


async def test_a_gateway_that_nobody_knows_is_told(broker: Any) -> None:
    async with operator(broker.url) as fleet:
        with pytest.raises(FleetError, match="knows no gateway nowhere") as refused:
            await fleet.gateway("nowhere")
        assert refused.value.code == 404


async def _some(changes: AsyncIterator[Change], found: list[Change]) -> None:
    async for change in changes:
        found.append(change)


async def test_a_watch_shows_what_changes_and_no_late_will(broker: Any, raw: Raw) -> None:
    publish_gateway(raw, "gw", session=5)
    found: list[Change] = []
    async with operator(broker.url) as fleet, aclosing(fleet.watch(telemetry=True)) as changes:
        watching = asyncio.create_task(_some(changes, found))
        await eventually(lambda: {"status", "birth"} <= {change.kind for change in found})
        assert all(change.retained for change in found)
        found.clear()
        root = "fp/1/default/gw"
        raw.publish(f"{root}/status", {"v": 1, "online": False, "session": 4, "epoch": 1794000000})
        raw.publish(f"{root}/shadow/d0/reported", {"v": 1, "ver": 1, "desired_ver": 0, "state": {"temp": 1}})
        raw.publish(f"{root}/shadow/d0/rejected", {"v": 1, "path": "temp", "desired_ver": 1, "state": "failed"})
        raw.publish(f"{root}/result/r1", {"v": 1, "rid": "r1", "state": "done", "code": 200}, retain=False)
        batch = {"device": "d0", "ts": 5, "seq": 1, "values": {"temp": None}, "quality": {"temp": "bad/comm"}}
        head = {"v": 1, "gateway": "gw", "stream": "telemetry", "epoch": 1, "seq": 1, "n": 1, "batches": [batch]}
        raw.publish(f"{root}/up/telemetry", head, retain=False)
        raw.publish(f"{root}/up/telemetry", b"garbage", retain=False)
        raw.publish(f"{root}/status", {"v": 1, "online": False, "session": 5, "epoch": 1794000000})
        await eventually(lambda: len(found) == 5, why=lambda: str(found))
        watching.cancel()
        await asyncio.wait({watching})
    assert [(change.kind, change.device) for change in found] == [
        ("reported", "d0"), ("rejected", "d0"), ("result", None), ("telemetry", "d0"), ("status", None),
    ]  # fmt: skip
    assert found[3].body == {"ts": 5, "values": {"temp": None}, "quality": {"temp": "bad/comm"}}
    assert found[4].body["online"] is False


async def test_a_command_carries_its_time_for_the_broker_and_for_the_gateway(broker: Any, raw: Raw) -> None:
    async with operator(broker.url, origin="scada-1") as fleet:
        with pytest.raises(NoAnswer):
            await fleet.command("gw", "read", "pump", {"tags": ["a"]}, ttl_s=1, rid="c-1")
    body = raw.body("fp/1/default/gw/down/command/c-1")
    assert (body["v"], body["rid"], body["op"], body["device"], body["args"], body["ttl"], body["origin"]) == (
        1, "c-1", "read", "pump", {"tags": ["a"]}, 1000, "scada-1",
    )  # fmt: skip
    assert body["exp"] > 1_600_000_000_000
    assert raw.expiry["fp/1/default/gw/down/command/c-1"] == 1


async def test_work_that_takes_long_is_waited_for(broker: Any, raw: Raw) -> None:
    """`accepted` is no end."""
    root = "fp/1/default/gw"
    async with operator(broker.url) as fleet:
        asking = asyncio.create_task(fleet.command("gw", "rescan", rid="c-2"))
        await eventually(lambda: raw.body(f"{root}/down/command/c-2"))
        answer = {"v": 1, "rid": "c-2", "state": "accepted", "code": 202}
        raw.publish(f"{root}/result/c-2", answer, retain=False)
        raw.publish(f"{root}/result/c-2", {**answer, "rid": "other", "code": 200}, retain=False)
        raw.publish(f"{root}/result/c-2", b"garbage", retain=False)
        raw.publish(f"{root}/result/c-2", {**answer, "state": "done", "code": 200, "out": {"n": 3}}, retain=False)
        result = await asking
    assert (result.ok, result.state, result.out) == (True, "done", {"n": 3})


async def test_no_broker_is_a_clear_error() -> None:
    with pytest.raises(BrokerAway, match="no connection to the broker"):
        async with operator(f"mqtt://127.0.0.1:{free_port()}"):
            pass


async def test_a_broker_that_goes_away_ends_every_call(broker: Any, raw: Raw) -> None:
    async with operator(broker.url) as fleet, aclosing(fleet.watch()) as changes:
        waiting = asyncio.ensure_future(anext(changes))
        commanding = asyncio.ensure_future(fleet.command("gw", "read", "d0"))
        await asyncio.sleep(0.5)
        raw.close()
        broker.kill()
        for call in (waiting, commanding):
            with pytest.raises(BrokerAway):
                await asyncio.wait_for(call, 20)
        with pytest.raises(BrokerAway):
            await fleet.gateways()


async def test_a_wrong_password_is_told_as_such(make_broker: Callable[..., Any], tmp_path: Any) -> None:
    (tmp_path / "passwords").write_text("")
    broker = make_broker(extra=f"password_file {tmp_path}/passwords\n", start=False)
    text = (broker._directory / "mosquitto.conf").read_text().replace("allow_anonymous true", "allow_anonymous false")
    (broker._directory / "mosquitto.conf").write_text(text)
    broker.start()
    with pytest.raises(BrokerRefuses, match="refuses"):
        async with operator(broker.url, username="a", password="b"):
            pass


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer(Script())
    await made.start()
    yield made
    await made.stop()


async def test_a_refused_subscription_is_a_clear_error(peer: Peer) -> None:
    peer.script.suback_code = 0x87
    async with operator(peer.url) as fleet:
        with pytest.raises(BrokerRefuses, match="does not let this user read"):
            await fleet.gateways()


@pytest.mark.parametrize("way", ["only_311", "close_v5"])
async def test_a_broker_that_does_not_know_mqtt_5_is_used_with_3_1_1(peer: Peer, way: str) -> None:
    setattr(peer.script, way, True)
    async with operator(peer.url) as fleet:
        assert await fleet.gateways() == []
    assert peer.levels == [5, 4]


async def test_what_a_call_subscribed_to_ends_with_it(peer: Peer) -> None:
    """Else a program that runs for months would listen to the whole fleet for ever."""
    async with operator(peer.url) as fleet:
        await fleet.gateways()
        assert peer.unsubscribed == 1
        await fleet.gateways()
        assert peer.unsubscribed == 2


async def test_a_refusal_that_is_quicker_than_the_brokers_echo_is_heard(peer: Peer) -> None:
    async with operator(peer.url) as fleet:
        setting = asyncio.create_task(fleet.set("gw", "pump", {"a": 1}, wait_s=5))
        desired, root = "fp/1/default/gw/shadow/pump/desired", "fp/1/default/gw/shadow/pump"
        await eventually(lambda: desired in peer.topics())
        body = {"v": 1, "path": "a", "desired_ver": 1, "state": "rejected", "code": 403, "text": "maintenance"}
        peer.push(f"{root}/rejected", json.dumps(body).encode(), 1)
        peer.push(desired, peer.payloads("/desired")[0], 2)
        done = await setting
    assert [(leaf.state, leaf.code) for leaf in done.leaves] == [("rejected", 403)]


async def test_a_silent_broker_ends_in_an_error(peer: Peer) -> None:
    peer.script.suback = False
    async with operator(peer.url, timeout_s=0.3) as fleet:
        with pytest.raises(FleetError, match="does not answer a subscription"):
            await fleet.gateways()


def test_a_wrong_address_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(ValueError, match="scheme"):
        Fleet("http://broker")
    with pytest.raises(FleetError, match="not the id of a tenant"):
        Fleet("mqtt://broker", "a/b")


async def test_a_watch_shows_what_stands_on_job_next_and_what_is_said_of_it(broker: Any, raw: Raw) -> None:
    root = "fp/1/default/gw/job"
    found: list[Change] = []
    async with operator(broker.url) as fleet, aclosing(fleet.watch("gw")) as changes:
        watching = asyncio.create_task(_some(changes, found))
        await asyncio.sleep(0.2)
        job = {"v": 1, "id": "j1", "ver": 1, "op": "config", "doc": {"rev": 7, "tree": {"gateway.yaml": "x"}}}
        raw.publish(f"{root}/next", job)
        raw.publish(f"{root}/next", b"garbage")
        raw.publish(f"{root}/j1/status", {"v": 1, "id": "j1", "ver": 1, "state": "queued", "detail": {}}, retain=False)
        raw.publish(f"{root}/next", b"")
        await eventually(lambda: len(found) == 3, why=lambda: str(found))
        watching.cancel()
        await asyncio.wait({watching})
    assert [change.kind for change in found] == ["job", "job_status", "job"]
    assert found[0].body == {"id": "j1", "ver": 1, "op": "config", "what": "rev 7", "exp": None}
    assert (found[1].body["state"], found[2].body) == ("queued", {})
