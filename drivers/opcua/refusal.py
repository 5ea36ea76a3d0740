"""A server that says no, in its own words."""

from __future__ import annotations

from drivers.opcua.status import quality_of, words
from gateway.errors import RequestRefused
from gateway.model import Quality


class ServerRefused(RequestRefused):
    """`code`: the status of OPC UA. The text begins with its name."""

    def __init__(self, code: int, what: str = "") -> None:
        reason = "comm" if quality_of(code) == Quality.BAD_COMM else "config"
        super().__init__(f"{what}: {words(code)}" if what else words(code), code=code, reason=reason)
