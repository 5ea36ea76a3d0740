"""A Modbus device made from a profile: a real server with faults that can be switched while it runs."""

from __future__ import annotations

from drivers.modbus.simulator.faults import Faults, FaultWordError
from drivers.modbus.simulator.image import Image
from drivers.modbus.simulator.unit import Unit

__all__ = ["FaultWordError", "Faults", "Image", "Unit"]
