"""Driver http: devices and services that answer a GET with JSON or text, and are written by a request."""

from __future__ import annotations

from drivers.http.check import check
from drivers.http.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Driver, DriverSpec


def _create() -> Driver:
    # Imported when a channel runs: looking at a configuration must not load a protocol library.
    from drivers.http.driver import HttpDriver

    return HttpDriver()


SPEC = DriverSpec(
    name="http",
    channel=ChannelSettings,
    device=DeviceSettings,
    tag=TagSettings,
    create=_create,
    check=check,
    needs=(("h11", "pip install 'fieldpost[http]'"),),
)
