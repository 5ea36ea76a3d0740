"""From a channel's settings to its wire."""

from __future__ import annotations

import os

from drivers.modbus.framing import Ascii, Framing, Mbap, Rtu
from drivers.modbus.settings import ChannelSettings
from drivers.modbus.transports import Line, connector, place_of
from drivers.modbus.wire import Wire
from gateway.driver import Endpoint

_FRAMINGS: dict[str, type[Framing]] = {"mbap": Mbap, "rtu": Rtu, "ascii": Ascii}


def open_wire(settings: ChannelSettings, timeout_s: float) -> Wire:
    """The wire of a channel, not yet connected. Raises PointError for settings that `check` refuses."""
    place = place_of(settings)
    framing = _FRAMINGS[place.framing]()
    if isinstance(place, Line):
        gap = place.gap_s + place.turnaround_s
        return Wire(place.port, connector(place), framing, timeout_s, gap_s=gap, echo=place.echo, reopens=False)
    return Wire(place.name, connector(place), framing, timeout_s, doubt=place.doubt)


def endpoint_of(settings: ChannelSettings) -> Endpoint | None:
    """What a channel holds: a serial port for itself, a server as often as it takes connections.

    A port has several names (/dev/serial/by-id beside /dev/ttyUSB0); where it is plugged in they are one.
    """
    place = place_of(settings)
    if isinstance(place, Line):
        return Endpoint(f"serial:{os.path.realpath(place.port)}", 1, "serial")
    return Endpoint(f"tcp:{place.name}", settings.connections or 0, "url")
