"""The driver beside a real broker: sessions, acknowledgements, refusals, floods, and the public contract."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from typing import Any

import pytest
from msgspec.structs import replace

from drivers.mqtt import SPEC, session
from drivers.mqtt.continuing import take_up
from drivers.mqtt.driver import MqttDriver
from gateway.errors import LinkLost, RequestRefused, WriteRejected
from gateway.model import ChannelSpec, Quality
from gateway.testing import DictMemory, FakeContext, examine
from tests.drivers.mqtt.kit import channel_of
from tests.drivers.mqtt.rig import TAGS, running
from tests.support.certificates import Certificates
from tests.support.eventually import eventually
from tests.support.mqtt_device import MqttDevice
from tests.support.ports import free_port


async def test_the_driver_keeps_the_contract(broker, sender):
    channel = channel_of({"devices": {"d": {"topic": "t", "retained": "good", "tags": TAGS}}}, url=broker.url)
    await asyncio.to_thread(sender.publish, "t", {"v": 1}, retain=True)
    quick = (
        "spec",
        "settings",
        "unreachable",
        "run",
        "cancel-run",
        "old-values",
        "cut",
        "flood",
        "leaks",
        "looks",
        "trace",
    )
    report = await examine(SPEC, channel, only=quick)
    assert report.findings == []
    assert report.skipped == []


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
async def test_the_broker_gives_no_more_than_the_receive_maximum_while_the_disk_is_slow(broker, sender, protocol):
    channel = {
        "devices": {"d": {"topic": "t", "tags": TAGS}},
        "receive_maximum": 8,
        "protocol": protocol,
        "client_id": "gw",
    }
    async with running(channel, broker.url) as rig:
        rig.keeping = True
        for number in range(60):
            await asyncio.to_thread(sender.publish, "t", {"v": number})
        most = 8 if protocol == 5 else 20  # 3.1.1 has no Receive Maximum: mosquitto's own limit
        await eventually(lambda: len(rig.values()) == most, 10)
        await asyncio.sleep(0.3)
        assert len(rig.values()) == most
        assert rig.driver.counters()["waiting"] == most
    take_up("gw", 0.0)  # as after a kill: nothing is left of it
    # nothing of these was on disk: all come again, in order
    async with running(channel, broker.url) as rig:
        await eventually(lambda: len(rig.values()) == 60, 10)
        assert [value for value, _ in rig.values()] == [float(n) for n in range(60)]
        assert {quality for _, quality in rig.values()[:20]} == {Quality.STALE}


async def test_what_waited_at_the_broker_is_old_and_what_comes_after_it_is_not(broker, sender):
    channel = {"devices": {"d": {"topic": "t", "tags": TAGS}}, "client_id": "gw", "receive_maximum": 5}
    async with running(channel, broker.url):
        pass
    take_up("gw", 0.0)  # as after a kill: nothing is left of it
    for number in range(23):
        await asyncio.to_thread(sender.publish, "t", {"v": number})
    async with running(channel, broker.url) as rig:
        await eventually(lambda: len(rig.values()) == 23, 10)

        async def new() -> bool:
            await asyncio.to_thread(sender.publish, "t", {"v": 99})
            return rig.values()[-1] == (99.0, Quality.GOOD)

        await eventually(new, 10)
        assert all(quality is Quality.STALE for value, quality in rig.values() if value != 99)
        assert rig.driver.counters()["held"] >= 23


async def test_retained_values_come_at_the_start_and_not_again_with_each_connection(broker, sender, make_proxy):
    proxy = make_proxy(broker.port)
    url = f"mqtt://127.0.0.1:{proxy.port}"
    await asyncio.to_thread(sender.publish, "t", {"v": 1}, retain=True)
    for protocol in (5, "3.1.1"):
        channel = {"devices": {"d": {"topic": "t", "tags": TAGS}}, "client_id": f"gw{protocol}", "protocol": protocol}
        async with running(channel, url) as rig:
            await eventually(lambda rig=rig: rig.values() == [(1.0, Quality.STALE)], 10)
            proxy.cut_after(1)
            await asyncio.to_thread(sender.publish, "t", {"v": 2})
            await eventually(lambda rig=rig: rig.driver.counters()["connections_lost"] >= 1, 10)
            proxy.pass_()
            await eventually(lambda rig=rig: rig.ctx.linked, 20)
            await asyncio.to_thread(sender.publish, "t", {"v": 3})
            await eventually(lambda rig=rig: rig.values()[-1][0] == 3.0, 10)
            assert [value for value, _ in rig.values()].count(1.0) == 1


async def test_a_broker_that_restarts_ten_times_is_found_again_each_time(broker, sender):
    channel = {"devices": {"d": {"topic": "t", "tags": TAGS}}, "client_id": "gw"}
    async with running(channel, broker.url) as rig:
        tasks = len(asyncio.all_tasks())
        for number in range(10):
            await asyncio.to_thread(broker.restart)

            async def heard(number: int = number) -> bool:
                if not rig.ctx.linked:
                    return False
                await asyncio.to_thread(sender.send, "t", {"v": number}, qos=1)
                return (float(number)) in [value for value, _ in rig.values()]

            await eventually(heard, 30, every=0.1)
        assert rig.driver.counters()["connections_lost"] == 10
        assert not any("offline" in state for _, state in rig.ctx.states), "each outage was shorter than `patience`"
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 1, 5)


async def test_devices_are_away_when_the_broker_is_for_longer_than_patience(make_broker):
    broker = make_broker(start=False)
    channel = {"devices": {"d": {"topic": "t", "tags": TAGS}}, "patience": "200ms"}
    async with running(channel, broker.url, linked=False) as rig:
        await eventually(lambda: rig.ctx.states, 10)
        assert "no connection to the broker" in rig.ctx.states[0][1]
        assert ("broker_unreachable", "plant") in rig.ctx.issues
        broker.start()
        await eventually(lambda: rig.ctx.linked, 30)
        assert ("broker_unreachable", "plant") not in rig.ctx.issues


async def test_a_silent_device_is_away_and_back_with_its_next_message(broker, sender):
    channel = {"devices": {"d": {"topic": "t", "away_after": "300ms", "tags": TAGS}}}
    async with running(channel, broker.url) as rig:
        await eventually(lambda: ("d", "offline: silent for 0.3 s") in rig.ctx.states, 10)
        await asyncio.to_thread(sender.publish, "t", {"v": 1})
        await eventually(lambda: rig.ctx.states[-1] == ("d", "online"), 10)


async def test_a_last_will_tells_that_a_device_is_away(broker):
    tags = {"v": {"type": "float64", "path": "$.v"}}
    channel = {"devices": {"d": {"topic": "t", "availability": {"topic": "t/status"}, "tags": tags}}}
    other = MqttDevice(broker.port, "other", will=("t/status", "offline"))
    async with running(channel, broker.url) as rig:
        await asyncio.to_thread(other.publish, "t/status", "online", retain=True)
        await eventually(lambda: rig.ctx.states == [("d", "online")], 10)
        other.vanish()
        await eventually(lambda: rig.ctx.states[-1] == ("d", "offline: t/status says that it is away"), 10)


async def test_refused_subscriptions_are_told_and_the_others_work(make_broker):
    broker = make_broker(acl="topic readwrite ok/#\n", extra="")
    channel = {
        "devices": {
            "a": {"topic": "ok/a", "tags": TAGS},
            "b": {"topic": "secret/b", "tags": TAGS},
        }
    }
    device = MqttDevice(broker.port)
    async with running(channel, broker.url) as rig:
        await asyncio.to_thread(device.publish, "ok/a", {"v": 5})
        await eventually(lambda: rig.values("a.v") == [(5.0, Quality.GOOD)], 10)
    device.close()


async def test_a_command_goes_out_and_what_refuses_it_is_told(make_broker):
    broker = make_broker(acl="topic readwrite ok/#\ntopic read secret/#\n")
    tags = {
        "plain": {"type": "bool", "path": "$.p", "access": "rw", "words": {"OPEN": True, "SHUT": False},
                  "command": {"topic": "ok/plain"}},
        "temp": {"type": "float64", "path": "$.t", "scale": 0.1, "access": "rw", "command": {"topic": "ok/set", "path": "$.a.t"}},
        "tpl": {"type": "string", "path": "$.s", "access": "rw",
                "command": {"topic": "ok/tpl", "payload": {"method": "Set", "params": {"x": "$value", "y": "<$value>"}}}},
        "none": {"type": "float64", "path": "$.n", "access": "rw", "command": {"topic": "ok/nobody"}},
        "no": {"type": "float64", "path": "$.n", "access": "rw", "command": {"topic": "secret/x"}},
    }  # fmt: skip
    device = MqttDevice(broker.port)
    for topic in ("ok/plain", "ok/set", "ok/tpl"):
        device.subscribe(topic)
    async with running({"devices": {"d": {"topic": "t", "tags": tags}}}, broker.url) as rig:
        unit = rig.device()

        async def write(name: str, value: Any) -> None:
            await rig.driver.write(unit, unit.tag(name), value)

        await write("plain", True)
        await write("temp", 21.5)
        await write("tpl", "on")
        await eventually(lambda: len(device.commands) == 3, 10)
        assert device.commands[0] == ("ok/plain", b"OPEN")
        assert json.loads(device.commands[1][1]) == {"a": {"t": 215}}
        assert json.loads(device.commands[2][1]) == {"method": "Set", "params": {"x": "on", "y": "<on>"}}
        with pytest.raises(RequestRefused, match="nobody listens"):
            await write("none", 1.0)
        with pytest.raises(RequestRefused, match="0x87"):
            await write("no", 1.0)
        with pytest.raises(WriteRejected):
            await write("temp", "hot")
    device.close()


async def test_a_large_message_a_deep_one_and_garbage_stop_nobody(broker, sender):
    channel = {
        "devices": {"d": {"topic": "t", "tags": TAGS}, "e": {"topic": "u", "tags": TAGS}},
        "max_payload": "1100KB",
    }
    async with running(channel, broker.url) as rig:
        big = json.dumps({"v": 7, "pad": "x" * 1_000_000})
        await asyncio.to_thread(sender.publish, "t", big)
        await eventually(lambda: rig.values() == [(7.0, Quality.GOOD)], 10)
        for bad in ("[" * 200_000, "{", b"\xff\xfe", '{"v": {"v": 1}}', "[]", '"' + "x" * 1_120_000 + '"'):
            await asyncio.to_thread(sender.publish, "t", bad)
        await asyncio.to_thread(sender.publish, "u", {"v": 8})
        await eventually(lambda: rig.values("e.v") == [(8.0, Quality.GOOD)], 10)
        counts = rig.driver.counters()
        assert counts["unreadable"] == 3
        assert counts["too_large"] == 1
        assert counts["waiting"] == 0
        assert ("unreadable_payloads", "d") in rig.ctx.issues
        assert rig.values()[-1] == (None, Quality.BAD_CONFIG)
        await asyncio.to_thread(sender.publish, "t", {"v": 9})
        await eventually(lambda: not rig.ctx.issues, 10)


async def test_a_storm_of_topics_takes_time_and_no_memory(broker, sender):
    channel = {"devices": {"d": {"topic": "+/+/storm", "tags": TAGS}}}
    async with running(channel, broker.url) as rig:
        for number in range(12_000):
            sender.send(f"s/{number}/storm", {"v": number}, qos=1 if number % 50 == 0 else 0)
        await asyncio.to_thread(sender.publish, "x/y/storm", {"v": -1})
        await eventually(lambda: rig.driver.counters()["messages"] == 12_001, 30)
        assert (-1.0, Quality.GOOD) in rig.values()
        assert rig.driver._inbox is not None
        assert len(rig.driver._inbox._router._known) <= 10_000


async def test_qos_0_beyond_what_the_disk_takes_is_dropped_and_counted(broker, sender):
    channel = {"devices": {"d": {"topic": "t", "tags": TAGS}}, "receive_maximum": 5}
    async with running(channel, broker.url) as rig:
        rig.keeping = True
        for number in range(100):
            sender.send("t", {"v": number})
        await eventually(lambda: rig.driver.counters()["messages"] == 100, 10)
        assert len(rig.values()) == 20
        assert rig.driver.counters()["dropped_qos0"] == 80


async def test_two_clients_of_one_name_are_told(broker):
    channel = {"devices": {"d": {"topic": "t", "tags": TAGS}}, "client_id": "same"}
    async with running(channel, broker.url) as rig:
        other = await asyncio.to_thread(MqttDevice, broker.port, "same")
        await eventually(lambda: ("client_id_taken", "plant") in rig.ctx.issues, 30)
        other.close()
        await eventually(lambda: ("client_id_taken", "plant") not in rig.ctx.issues, 30)


async def test_a_write_without_a_connection_is_rejected():
    tags = {"v": {"type": "float64", "access": "rw", "command": {"topic": "x"}}}
    channel = {"devices": {"d": {"topic": "t", "tags": tags}}}
    async with running(channel, f"mqtt://127.0.0.1:{free_port()}", linked=False) as rig:
        await eventually(lambda: ("broker_unreachable", "plant") in rig.ctx.issues, 10)
        with pytest.raises(WriteRejected):
            await rig.driver.write(rig.device(), rig.device().tag("v"), 1.0)
        with pytest.raises(LinkLost):
            async for _ in rig.driver.scan({}):
                pass


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
async def test_a_channel_that_is_restarted_by_a_change_keeps_what_is_known_and_brings_what_is_new(
    broker, sender, protocol
):
    for topic in ("a", "b"):
        await asyncio.to_thread(sender.publish, topic, {"v": 1, "w": 2}, retain=True)
    devices: dict[str, Any] = {"a": {"topic": "a", "tags": TAGS}}
    channel = {"devices": devices, "client_id": f"gw{protocol}", "protocol": protocol}
    memory = DictMemory()
    async with running(channel, broker.url, memory=memory) as rig:
        await eventually(lambda: rig.values("a.v") == [(1.0, Quality.STALE)], 10)
        rig.keeping = True  # not on disk yet when the change comes
        await asyncio.to_thread(sender.publish, "a", {"v": 5})
        await eventually(lambda: len(rig.waiting) == 1, 10)
        asyncio.get_running_loop().call_later(0.1, rig.release)
    devices["b"] = {"topic": "b", "tags": TAGS}
    async with running(channel, broker.url, memory=memory) as rig:
        await eventually(lambda: rig.values("b.v") == [(1.0, Quality.STALE)], 10)
        await asyncio.to_thread(sender.publish, "a", {"v": 6})
        await eventually(lambda: rig.values("a.v") == [(6.0, Quality.GOOD)], 10)
    devices["a"] = {"topic": "a", "tags": {**TAGS, "w": {"type": "float64"}}}
    async with running(channel, broker.url, memory=memory) as rig:
        await eventually(lambda: rig.values("a.w") == [(2.0, Quality.STALE)], 10)
        assert rig.values("b.v") == []


async def test_what_never_got_to_the_disk_is_asked_for_again(broker, sender, monkeypatch):
    """A journal without room counts a reading and tells nobody: only the broker has it then."""
    monkeypatch.setattr(session, "STALLED_S", 0.4)
    channel = {"devices": {"d": {"topic": "t", "tags": TAGS}}, "client_id": "gw"}
    async with running(channel, broker.url) as rig:
        rig.keeping = True
        await asyncio.to_thread(sender.publish, "t", {"v": 1})
        await eventually(lambda: ("waiting_for_the_disk", "plant") in rig.ctx.issues, 10)
        rig.waiting.clear()
        rig.keeping = False
        await eventually(lambda: [value for value, _ in rig.values()] == [1.0, 1.0], 10)
        await eventually(lambda: rig.driver.counters()["waiting"] == 0 and not rig.ctx.issues, 10)


async def test_tls_with_certificates_and_an_authority_that_is_not_trusted(make_broker, certificates, tmp_path):
    broker = make_broker(tls=certificates)
    mine, other = certificates.make("gateway"), Certificates(tmp_path / "other")
    channel = channel_of({"devices": {"d": {"topic": "t", "tags": TAGS}}}, url=broker.url)

    def with_tls(ca: Any) -> ChannelSpec:
        files = {"ca": str(ca), "cert": str(mine.cert), "key": str(mine.key)}
        return replace(channel, settings=replace(channel.settings, tls=files))

    assert await outcome(with_tls(certificates.ca)) == ""
    assert "CERTIFICATE_VERIFY_FAILED" in await outcome(with_tls(other.ca))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # ssl leaves the socket of a failed handshake to the collector


async def outcome(spec: ChannelSpec) -> str:
    """The issue of a driver that cannot connect; empty when it is connected."""
    async with FakeContext(spec) as ctx:
        task = ctx.task_group.create_task(MqttDriver().run(ctx))
        await eventually(lambda: ctx.linked or ctx.issues, 20)
        task.cancel()
        return ctx.issues.get(("broker_unreachable", "plant"), "")
