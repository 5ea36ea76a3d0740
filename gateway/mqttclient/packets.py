"""PUBLISH packets: their properties, and how many bytes they are."""

from __future__ import annotations

from functools import lru_cache

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.mqttclient.connection import MQTT_5, Outgoing


class _Packed(Properties):
    """Properties whose bytes are made once: making and packing them anew costs more than the rest of a publish."""

    packed: bytes | None = None

    def pack(self) -> bytes:
        if self.packed is None:
            object.__setattr__(self, "packed", super().pack())  # type: ignore[no-untyped-call]
        assert self.packed is not None
        return self.packed


def publish_properties(
    content_type: str | None, encoding: str | None, correlation: bytes | None = None, expiry_s: int | None = None
) -> Properties:
    """The properties of one PUBLISH, not to be changed afterwards."""
    properties = _Packed(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if content_type:
        properties.ContentType = content_type
    if encoding:
        properties.UserProperty = ("enc", encoding)
    if correlation is not None:
        properties.CorrelationData = correlation
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    return properties


common_properties = lru_cache(maxsize=64)(publish_properties)
"""Those of messages without correlation and expiry: a handful of kinds."""


def packet_size(message: Outgoing, level: int) -> int:
    """Bytes of the PUBLISH packet, without TCP and TLS."""
    size = 2 + len(message.topic.encode()) + (2 if message.qos else 0) + len(message.payload)
    if level == MQTT_5:
        size += 1 + (3 + len(message.content_type) if message.content_type else 0)
        size += 5 + len("enc") + len(message.encoding) if message.encoding else 0
        size += 3 + len(message.correlation) if message.correlation is not None else 0
        size += 5 if message.expiry_s is not None else 0
    return size + 1 + (1 if size < 128 else 2 if size < 16_384 else 3 if size < 2_097_152 else 4)
