"""Who may send next: classes of protocol.md 2.6, the floor of the backlog, and the backlog's share of the window."""

from __future__ import annotations

ALARM, GAP, EVENT, LIVE, BACKLOG, LOG = "alarm", "gap", "event", "live", "backlog", "log"
CLASSES = (ALARM, GAP, EVENT, LIVE, BACKLOG, LOG)
"""Strict between classes, but for the floor."""

FLOOR = 0.10
"""The backlog's part of all bytes that is never denied, so that it ends (invariant J19)."""

LATE_S = 1.6
"""Live data that takes this long to its PUBACK is near the bound of 2 s: the backlog gives way."""

CALM_S = LATE_S / 2
"""The backlog's share grows only while live data is quicker than this."""

MAX_HOLES = 32
"""Above this many holes in the cursor the oldest is filled first (the backlog, at its floor at least)."""
TOO_MANY_HOLES = 63
"""The cursor's list must never reach 64: from here on only the oldest readings are sent, until it shrinks."""


class Floor:
    """Keeps account of what the backlog is owed: FLOOR of all bytes while it waits."""

    def __init__(self) -> None:
        self._owed = 0.0

    def sent(self, kind: str, size: int, *, backlog_waits: bool) -> None:
        if kind == BACKLOG:
            self._owed = max(self._owed - size * (1.0 - FLOOR), -float(size))
        elif backlog_waits:
            self._owed += size * FLOOR

    def due(self, size: int) -> bool:
        """Whether a backlog message of about `size` bytes goes before everything else now."""
        return self._owed >= size * (1.0 - FLOOR)


class Share:
    """How many backlog messages may be in flight: starts with 1, doubles per round trip, halves when live is late."""

    def __init__(self) -> None:
        self._size = 1.0
        self._halved_at = -1.0

    def limit(self, window: int) -> int:
        """At least 1; one slot is left for what is more urgent, where the window has two."""
        return max(1, min(int(self._size), window - 1 if window > 1 else 1))

    def acked(self, window: int, p99: float = 0.0) -> None:
        """A backlog message was acknowledged: one more each time doubles per round trip, while live is well in time."""
        if p99 < CALM_S:
            self._size = min(self._size + 1.0, float(max(window, 1)))

    def adjust(self, now: float, p99: float) -> None:
        """Halve, at most once a second, while live is late."""
        if p99 >= LATE_S and now - self._halved_at >= 1.0:
            self._size = max(1.0, self._size / 2.0)
            self._halved_at = now


def sequence(*, floor_due: bool, fifo: bool) -> tuple[str, ...]:
    """The order in which classes are asked for their next message.

    `fifo`: no live readings before older ones (setting `order`, or too many holes).
    """
    order = [kind for kind in CLASSES if not (fifo and kind == LIVE)]
    if floor_due:
        order.remove(BACKLOG)
        order.insert(0, BACKLOG)
    return tuple(order)
