"""MQTT devices. Importing this loads settings and checks only; the client is imported when a channel starts."""

from __future__ import annotations

from drivers.mqtt.check import check
from drivers.mqtt.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec


def _create() -> Driver:
    from drivers.mqtt.driver import MqttDriver

    return MqttDriver()


SPEC = DriverSpec(
    name="mqtt",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
)
