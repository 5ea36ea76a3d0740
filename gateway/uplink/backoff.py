"""When to try again: full jitter with a cap (protocol.md 2.7)."""

from __future__ import annotations

from random import Random

BASE_S = 1.0
EARLY_CAP_S = 5.0
EARLY_S = 600.0
"""The cap stays at EARLY_CAP_S during the first EARLY_S seconds of an outage, then doubles per attempt."""
STEADY_S = 60.0
"""Connected this long, an outage is over: counters start again."""


class Reconnect:
    """Delays between attempts to connect: random(0, min(cap, 1 s * 2^n)).

    `maximum` is `reconnect.max`; with `patient` (profile `fleet`) it is the cap from the first attempt on.
    """

    def __init__(self, maximum: float, random: Random, *, patient: bool = False) -> None:
        self._maximum = maximum
        self._random = random
        self._patient = patient
        self._attempt = 0
        self._late_attempts = 0
        self._began: float | None = None
        self._connected_at: float | None = None

    @property
    def attempt(self) -> int:
        """Attempts that failed in this outage."""
        return self._attempt

    def connected(self, now: float) -> None:
        self._connected_at = now

    def lost(self, now: float) -> None:
        """The connection ended. An outage that was not over goes on."""
        if self._connected_at is not None and now - self._connected_at >= STEADY_S:
            self._attempt = self._late_attempts = 0
            self._began = None
        self._connected_at = None

    def cap(self, now: float) -> float:
        """Upper bound of the next delay's cap, in seconds."""
        if self._patient:
            return self._maximum
        if self._began is None or now - self._began < EARLY_S:
            return min(EARLY_CAP_S, self._maximum)
        return min(self._maximum, EARLY_CAP_S * 2.0 ** min(self._late_attempts, 20))

    def next_delay(self, now: float) -> float:
        """Seconds to wait before the next attempt; counts the attempt."""
        if self._began is None:
            self._began = now
        if now - self._began >= EARLY_S:
            self._late_attempts += 1
        bound = min(self.cap(now), BASE_S * 2.0 ** min(self._attempt, 20))
        self._attempt += 1
        return self._random.uniform(0.0, bound)


class Retry:
    """Back-off of one topic whose publishes are refused: full jitter, cap 60 s."""

    def __init__(self, random: Random, maximum: float = 60.0) -> None:
        self._random = random
        self._maximum = maximum
        self.failures = 0

    def failed(self) -> float:
        """Count a failure; seconds to wait."""
        bound = min(self._maximum, BASE_S * 2.0 ** min(self.failures, 20))
        self.failures += 1
        return self._random.uniform(0.0, bound)

    def succeeded(self) -> None:
        self.failures = 0
