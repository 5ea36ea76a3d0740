"""An alarm that comes and goes faster than people can follow: more than five transitions in 60 s (protocol.md 1.3)."""

from __future__ import annotations

from collections import deque

MOST = 5
WITHIN_MS = 60_000


class Chatter:
    """The recent transitions of one alarm. Times are ms on the boot clock; a restart begins anew."""

    __slots__ = ("_on", "_times")

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=MOST + 1)
        self._on = False

    def transition(self, at: int) -> bool:
        """Count one. True from the sixth in 60 s on, until there was none for 60 s."""
        self._on = self.is_on(at)
        self._times.append(at)
        if len(self._times) > MOST and at - self._times[0] < WITHIN_MS:
            self._on = True
        return self._on

    def is_on(self, at: int) -> bool:
        return self._on and at - self._times[-1] < WITHIN_MS
