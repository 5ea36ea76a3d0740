"""When a wire is opened again: at once after one that was good, else later and later.

A server may accept and hang up at once (it serves one client only, or nothing is behind it). Such a wire opens every
time and is worth nothing, so opening alone ends no back-off: an answer does, or a wire that has held for a while.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from gateway.backoff import Backoff

FIRST_S = 0.5
CAP_S = 10.0
"""A wire that cannot be opened is tried again at least so often, and at least as often as a device is probed."""
HELD_S = 10.0
"""A wire that was up for so long was good, though nothing may have been asked on it."""


class Reconnect:
    """The pauses of one wire. Times on the boot clock in seconds."""

    def __init__(self, probe_s: float, draw: Callable[[], float] = random.random) -> None:
        self._closed = Backoff(FIRST_S, min(CAP_S, probe_s), draw)
        self._useless = Backoff(FIRST_S, probe_s, draw)
        self._opened = 0.0
        self._answered = False

    def refused(self) -> float:
        """It could not be opened. Returns how long to wait."""
        return self._closed.next()

    def opened(self, now: float) -> None:
        """It is up."""
        self._closed.reset()
        self._opened, self._answered = now, False

    def answered(self) -> None:
        """Something came over it."""
        self._answered = True

    def lost(self, now: float) -> float:
        """It was up and is gone. Returns how long to wait."""
        held = now - self._opened
        if self._answered or held >= HELD_S:
            self._useless.reset()
            if held >= FIRST_S:
                return 0.0
        return self._useless.next()
