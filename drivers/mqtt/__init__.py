"""MQTT devices. Importing this loads settings and checks only; the client is imported when a channel starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.mqtt.check import check
from drivers.mqtt.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec, Endpoint
from gateway.mqttclient.address import parse_address

if TYPE_CHECKING:
    from gateway.rehearsal import Rehearsal


def _create() -> Driver:
    from drivers.mqtt.driver import MqttDriver

    return MqttDriver()


def _endpoint(settings: ChannelSettings) -> Endpoint | None:
    """A session: the broker gives a client id to one connection at a time."""
    if not settings.client_id:
        return None
    return Endpoint(f"mqtt:{parse_address(settings.url)} as {settings.client_id}", 1, "client_id")


def _rehearsal() -> Rehearsal:
    from drivers.mqtt.rehearsing import rehearsal

    return rehearsal()


SPEC = DriverSpec(
    name="mqtt",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
    endpoint=_endpoint,
    rehearsal=_rehearsal,
)
