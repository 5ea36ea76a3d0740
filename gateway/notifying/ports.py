"""What notifications are about and how they leave. The composition root implements the door."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import GatewayError
from gateway.model import Value
from gateway.rulebook import AlarmSpec


class Moment(Protocol):
    """When something happened."""

    @property
    def wall(self) -> int:
        """UTC ms."""
        ...


class News(Protocol):
    """An alarm changed its state (ISA-18.2). `t_active` in UTC ms, 0 where there is none."""

    @property
    def spec(self) -> AlarmSpec: ...

    @property
    def event(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def when(self) -> Moment: ...

    @property
    def t_active(self) -> int: ...

    @property
    def value(self) -> Value: ...

    @property
    def quality(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def who(self) -> str: ...

    @property
    def comment(self) -> str: ...


class Publishes(Protocol):
    """Messages over an uplink."""

    async def publish(self, uplink: str, topic: str, payload: bytes, *, retain: bool, expiry_s: float) -> None:
        """Returns when the broker has it. Raises GatewayError with a `code` as in protocol.md 1.3."""
        ...


class NotDelivered(GatewayError):
    """A message that the other side does not have, for all that is known. `again`: trying again may help.

    The text holds nothing that is secret.
    """

    def __init__(self, text: str, *, again: bool) -> None:
        super().__init__(text)
        self.again = again
