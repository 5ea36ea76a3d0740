"""What a channel looks for beyond its configured devices, as takers of the router."""

from __future__ import annotations

from typing import Any

from gateway.driver import DriverContext


class Watch:
    """All watchers of a channel's `discover`."""

    def __init__(self, ctx: DriverContext) -> None:
        self._ctx = ctx

    def takers(self) -> list[Any]:
        return []
