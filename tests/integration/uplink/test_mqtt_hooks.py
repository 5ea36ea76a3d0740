"""One test per private hook of gateway/mqttclient/ackclient.py: each fails when the library stops calling it."""

from __future__ import annotations

import asyncio
import configparser
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway.mqttclient import mqtt
from gateway.mqttclient.connection import ConnectFailed, ConnectionLost, ConnectOptions, Outgoing
from tests.integration.uplink.peer import Peer, Script
from tests.support.eventually import eventually

OPTIONS = ConnectOptions("hooks")
MESSAGE = Outgoing("fp/1/acme/gw1/up/telemetry", b"{}")


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer(Script())
    await made.start()
    yield made
    await made.stop()


def test_the_pinned_versions_are_the_installed_ones() -> None:
    """Private hooks are used: another version must not slip in."""
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[3] / "setup.cfg")
    pins = dict(line.split("==") for line in settings["options"]["install_requires"].split() if "==" in line)
    assert {name: version(name) for name in ("aiomqtt", "paho-mqtt")} == {
        name: pins[name] for name in ("aiomqtt", "paho-mqtt")
    }


async def test_on_publish_tells_the_reason_code(peer: Peer) -> None:
    peer.script.puback = lambda topic, _: 0x87
    connection = await mqtt.connect(peer.url, OPTIONS)
    assert await connection.publish(MESSAGE) == 0x87
    assert connection.room == connection.window
    await connection.close()


async def test_on_disconnect_wakes_all_who_wait_at_once(peer: Peer) -> None:
    peer.script.hold_acks = True
    connection = await mqtt.connect(peer.url, OPTIONS)
    acks = [connection.send(MESSAGE) for _ in range(3)]
    await eventually(lambda: len(peer.published) == 3)
    peer.hang_up()
    async with asyncio.timeout(5):
        for ack in acks:
            with pytest.raises(ConnectionLost):
                await ack
        assert isinstance(await connection.closed, ConnectionLost)
    connection.abort()


async def test_on_disconnect_tells_the_brokers_reason(peer: Peer) -> None:
    peer.script.puback = lambda topic, _: "disconnect:95"
    connection = await mqtt.connect(peer.url, OPTIONS)
    with pytest.raises(ConnectionLost) as lost:
        await connection.publish(MESSAGE)
    assert lost.value.code == 0x95
    connection.abort()


async def test_on_disconnect_before_connack_ends_the_attempt_at_once(peer: Peer) -> None:
    peer.script.close_v5 = True
    async with asyncio.timeout(5):
        with pytest.raises(ConnectFailed) as failed:
            await mqtt.connect(peer.url, ConnectOptions("hooks", connack_s=60.0))
    assert failed.value.closed
    assert failed.value.code is None


async def test_on_connect_keeps_the_servers_limits(peer: Peer) -> None:
    peer.script.receive_maximum = 5
    peer.script.max_packet = 9000
    connection = await mqtt.connect(peer.url, OPTIONS)
    assert connection.window == 5
    assert connection.max_packet == 9000
    await connection.close()


async def test_on_connect_tells_the_code_of_a_refusal(peer: Peer) -> None:
    peer.script.connack = 0x87
    with pytest.raises(ConnectFailed) as failed:
        await mqtt.connect(peer.url, OPTIONS)
    assert failed.value.code == 0x87


async def test_on_message_delivers_and_nothing_is_confirmed_before_confirm(peer: Peer) -> None:
    connection = await mqtt.connect(peer.url, OPTIONS)
    peer.push("fp/1/acme/gw1/down/ack", b"{}", 41)
    message = await connection.receive()
    peer.push("fp/1/acme/gw1/down/ack", b"{}", 42)
    later = await connection.receive()
    assert peer.confirmed == []
    connection.confirm(message)
    connection.confirm(later)
    await eventually(lambda: peer.confirmed == [41, 42])
    await connection.close()


async def test_sock_close_leaves_no_socket_behind_when_no_connack_comes(peer: Peer) -> None:
    peer.script.silent = True
    with pytest.raises(ConnectFailed):
        await mqtt.connect(peer.url, ConnectOptions("hooks", connack_s=0.2))
    await eventually(lambda: peer.levels and not peer._links)


async def test_a_cancelled_attempt_leaves_nothing_behind(peer: Peer) -> None:
    attempt = asyncio.ensure_future(mqtt.connect(peer.url, OPTIONS))
    await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await eventually(lambda: not peer._links)


async def test_disconnected_tells_of_errors_inside_the_librarys_socket_callback(peer: Peer) -> None:
    """A packet that cannot be read ends the connection at once, and all who wait on it."""
    peer.script.hold_acks = True
    connection = await mqtt.connect(peer.url, OPTIONS)
    ack = connection.send(MESSAGE)
    await eventually(lambda: peer.published)
    peer.garbage()
    async with asyncio.timeout(5):
        assert isinstance(await connection.closed, ConnectionLost)
        with pytest.raises(ConnectionLost):
            await ack
    connection.abort()
    await eventually(lambda: not peer._links)


async def test_misc_task_notices_a_peer_that_answers_no_ping(peer: Peer) -> None:
    peer.script.pings = False
    connection = await mqtt.connect(peer.url, ConnectOptions("hooks", keepalive_s=1.0))
    assert isinstance(await asyncio.wait_for(connection.closed, 30), ConnectionLost)
    connection.abort()


async def test_a_publish_without_puback_ends_the_connection_whoever_waits_for_it(peer: Peer) -> None:
    """MQTT 5.0 section 4.4: no resend on the same connection. A birth or a status must not wait for ever."""
    peer.script.puback = lambda topic, _: None
    connection = await mqtt.connect(peer.url, ConnectOptions("hooks", ack_s=0.2))
    async with asyncio.timeout(20):
        with pytest.raises(ConnectionLost, match="no PUBACK"):
            await connection.publish(MESSAGE)
    assert connection.closed.done()


async def test_a_waiter_that_gives_up_frees_its_slot_only_with_the_brokers_answer(peer: Peer) -> None:
    """J14: the broker still counts the message against its Receive Maximum."""
    peer.script.hold_acks = True
    connection = await mqtt.connect(peer.url, OPTIONS)
    waiting = asyncio.create_task(connection.publish(MESSAGE))
    await eventually(lambda: peer.published)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert connection.room == connection.window - 1
    peer.release()
    await eventually(lambda: connection.room == connection.window)
    await connection.close()


async def test_the_size_of_each_packet_is_told_as_it_is_on_the_wire(peer: Peer) -> None:
    connection = await mqtt.connect(peer.url, OPTIONS)
    told: list[int] = []
    connection.on_sent(told.append)
    messages = [
        MESSAGE,
        Outgoing("a/b", b"x" * 200, "application/json"),
        Outgoing("a/b", b"x" * 20_000, "application/json", "zlib", correlation=b"abc"),
    ]
    before = peer.received
    for message in messages:
        await connection.publish(message)
    assert sum(told) == peer.received - before
    await connection.close()
