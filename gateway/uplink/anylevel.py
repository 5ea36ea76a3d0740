"""A connection in whichever MQTT level the broker knows: for who needs no reason codes to be right."""

from __future__ import annotations

import msgspec

from gateway.mqttclient import mqtt
from gateway.mqttclient.connection import MQTT_5, MQTT_311, UNKNOWN_LEVEL, ConnectFailed, Connection, ConnectOptions


async def connect_any(url: str, options: ConnectOptions) -> Connection:
    """With MQTT 5, and at once with 3.1.1 where a broker does not know 5, closes, or says nothing. The level in
    `options` does not matter. Raises ConnectFailed.
    """
    try:
        return await mqtt.connect(url, msgspec.structs.replace(options, level=MQTT_5))
    except ConnectFailed as failed:
        if failed.code != UNKNOWN_LEVEL and not failed.closed and not failed.silent:
            raise
    return await mqtt.connect(url, msgspec.structs.replace(options, level=MQTT_311))
