"""Opening a connection: what is asked of the broker, and why it failed."""

from __future__ import annotations

import asyncio
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.mqttclient.ackclient import AckClient, retrieve
from gateway.mqttclient.address import Address, parse_address
from gateway.mqttclient.connection import MQTT_5, MQTT_311, ConnectFailed, ConnectionLost, ConnectOptions
from gateway.mqttclient.session import MqttConnection
from gateway.tls import client_context

_LIVENESS = 0.7
"""paho notices a dead peer after twice its keep-alive; asked for 0.7 of ours it notices within 1.5 of ours."""


async def connect(url: str, options: ConnectOptions) -> MqttConnection:
    """Open a connection with a new client object. Raises ConnectFailed.

    Cancelled, it still waits until the connecting thread is done (at most twice `connect_s`): a thread cannot be
    interrupted, and the socket it opens must not stay.
    """
    address = parse_address(url)
    try:
        client = _client(address, options)
    except (OSError, ValueError) as error:  # files of certificates
        raise ConnectFailed(f"TLS set-up: {error}") from error
    # a task of its own, so that cancelling us does not leave its thread unattended; it always ends before we return
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        client.ended(ConnectionLost("cancelled"))
        await asyncio.wait({entering})
        retrieve(entering)
        client.drop()
        raise
    except (aiomqtt.MqttError, ConnectionLost, OSError, ValueError) as error:
        closed, up = client.closed.done(), client._client.socket() is not None
        client.drop()
        raise _connect_failed(client, address, error, closed=closed, silent=up and not closed) from error
    client.watch()
    return MqttConnection(client, url, options)


def _connect_failed(
    client: AckClient, address: Address, error: BaseException, *, closed: bool, silent: bool
) -> ConnectFailed:
    if client.connack_code is not None:
        reference = getattr(client.connack, "ServerReference", None)
        return ConnectFailed(f"{address}: {error}", code=client.connack_code, reference=reference)
    detail = f" ({client.words.text})" if client.words.text else ""
    return ConnectFailed(f"{address}: {error}{detail}", closed=closed, silent=silent)


def _client(address: Address, options: ConnectOptions) -> AckClient:
    if options.level == MQTT_5:
        level: dict[str, Any] = {
            "protocol": aiomqtt.ProtocolVersion.V5,
            "clean_start": options.clean_start,
            "properties": _connect_properties(options),
        }
    else:
        level = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": options.clean_start}
    if address.websocket:
        level |= {"transport": "websockets", "websocket_path": address.path}
    client = AckClient(
        hostname=address.host,
        port=address.port,
        identifier=options.client_id,
        username=options.username,
        password=options.password,
        keepalive=max(1, int(options.keepalive_s * _LIVENESS)),
        timeout=options.connack_s,
        tls_context=client_context(options.tls) if address.secure else None,
        max_inflight_messages=0,  # paho's own queue: never used, the window is ours
        will=_will(options),
        **level,
    )
    client._client.connect_timeout = options.connect_s
    return client


def _connect_properties(options: ConnectOptions) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = options.session_expiry_s
    properties.ReceiveMaximum = options.receive_maximum
    if options.max_packet is not None:
        properties.MaximumPacketSize = options.max_packet
    return properties


def _will(options: ConnectOptions) -> aiomqtt.Will | None:
    will = options.will
    if will is None:
        return None
    properties = None
    if options.level != MQTT_311:
        properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        properties.WillDelayInterval = options.will_delay_s
    return aiomqtt.Will(will.topic, will.payload, will.qos, will.retain, properties)
