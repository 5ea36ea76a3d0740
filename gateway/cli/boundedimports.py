"""Imports of drivers that may never end: whoever waits for one says so after a while, and ends."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from gateway.driver import DriverSpec
from gateway.registry import Registry

LIMIT_S = 20.0
"""The longest that a command waits for one driver's import."""


class BoundedImports:
    """Loads drivers by name, as a Registry does. Where an import does not come back, `told` gets the driver's name and
    how long was waited (s), and what it returns is the status with which the process ends: an import cannot be stopped.
    """

    def __init__(self, told: Callable[[str, float], int]) -> None:
        self._told = told
        self._registry = Registry()

    def load(self, name: str) -> DriverSpec:
        """The spec of a driver. Raises DriverNotUsable."""
        limit_s = LIMIT_S
        timer = threading.Timer(limit_s, self._end, (name, limit_s))
        timer.daemon = True
        timer.start()
        try:
            return self._registry.load(name)
        finally:
            timer.cancel()

    def _end(self, name: str, waited_s: float) -> None:
        status = 1
        try:
            status = self._told(name, waited_s)
            sys.stdout.flush()
        finally:
            os._exit(status)


__all__ = ["BoundedImports"]
