"""What every window can do, whatever it is made of."""

from __future__ import annotations

from typing import Any, Protocol

from gateway.model import Value
from rules.values import Instant


class Window(Protocol):
    """Readings of one tag, and figures over them. Times in ms on the boot clock.

    Each figure raises NoValue where there is none: nothing good inside, a text where a number is needed, a sum that no
    float can hold, or a window that does not know its whole width yet. One over a time has no figure at all, no count
    either, until it was watched for as long as it is wide; one over samples only counts until it has all of them.
    """

    late: int
    """Readings that came too late and were left out."""

    @property
    def since(self) -> int | None:
        """Since when its readings are watched. None: it is over samples and does not ask for that."""
        ...

    def watched_since(self, at: int) -> None:
        """Its readings are known without a hole that matters since `at`: earlier when they came from the journal, later
        when nobody watched for a while. Nothing to a window over samples.
        """
        ...

    def add(self, event_at: int, value: Value, good: bool, now: Instant) -> None:
        """A reading that was true at `event_at`; it may be older than the newest, or newer than `now`."""
        ...

    def move(self, now: Instant) -> None:
        """Time has passed. An earlier `now` than before counts as the one before."""
        ...

    def avg(self) -> float: ...

    def min(self) -> float: ...

    def max(self) -> float: ...

    def sum(self) -> float: ...

    def count(self) -> int: ...

    def stddev(self) -> float: ...

    def first(self) -> Value: ...

    def last(self) -> Value: ...

    def rate(self) -> float:
        """Change per second between the oldest and the newest number."""
        ...

    @property
    def settled(self) -> bool:
        """Whether its figures stay as they are until the next reading, however long that takes."""
        ...

    @property
    def due(self) -> int | None:
        """When the next hop closes. None: it has no hops."""
        ...

    def state(self) -> Any:
        """All of it, as plain lists and numbers."""
        ...

    def restore(self, state: Any, shift: int) -> None:
        """Go on from `state()`, `shift` ms added to its times: the boot clock of another boot."""
        ...
