"""What a running expression may know of a tag besides its value and quality."""

from __future__ import annotations

from typing import Protocol

from gateway.model import Value


class Columns(Protocol):
    """By slot. Times are ms on the boot clock. `changed`: slots that became another in the event that is worked on."""

    previous: list[Value]
    """The value before the last reading; None where there was none."""
    arrived: list[int]
    """When the last reading came."""
    before_at: list[int]
    """When the one before it came."""
    changed: set[int]

    def polled(self, slot: int) -> int:
        """When the value was last known to be so."""
        ...
