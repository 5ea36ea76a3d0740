"""Counters of channels and devices: how often, how long, how wrong. Plain numbers, no I/O."""

from __future__ import annotations

import enum
from typing import Any

_WEIGHT = 0.1
"""Weight of the newest round trip in the mean."""


class ErrorKind(enum.StrEnum):
    """Why a transaction brought nothing. LINK: the connection. STALLED: the driver did not end a call in time."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    BAD_FRAME = "bad_frame"
    LINK = "link"
    STALLED = "stalled"
    DRIVER = "driver"


class RoundTrip:
    """Seconds of transactions: the last, a moving mean and the longest."""

    __slots__ = ("last", "longest", "mean")

    def __init__(self) -> None:
        self.last = 0.0
        self.mean = 0.0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        self.last = seconds
        self.mean = seconds if self.mean == 0.0 else self.mean + _WEIGHT * (seconds - self.mean)
        self.longest = max(self.longest, seconds)


class Stats:
    """Counters of one device or one channel. `polls` are transactions that were started; `missed` are deadlines
    that passed without one; `skipped` are those of a device that is away.
    """

    def __init__(self) -> None:
        self.polls = 0
        self.good = 0
        self.errors = dict.fromkeys(ErrorKind, 0)
        self.round_trip = RoundTrip()
        self.missed = 0
        self.skipped = 0
        self.readings = 0
        self.writes = 0
        self.write_errors = 0
        self.reconnects = 0
        self.last_error = ""
        self.last_error_ts: int | None = None
        self.last_good_ts: int | None = None

    def succeed(self, seconds: float, readings: int, ts: int) -> None:
        self.polls += 1
        self.good += 1
        self.readings += readings
        self.last_good_ts = ts
        self.round_trip.add(seconds)

    def fail(self, kind: ErrorKind, text: str, ts: int, *, poll: bool = True) -> None:
        """`poll` False: the error was not the answer to a poll."""
        self.polls += poll
        self.errors[kind] += 1
        self.last_error = text
        self.last_error_ts = ts

    def view(self) -> dict[str, Any]:
        """As plain data; durations in ms."""
        return {
            "polls": self.polls,
            "good": self.good,
            "errors": {kind.value: count for kind, count in self.errors.items() if count},
            "round_trip": {
                "last": round(self.round_trip.last * 1000, 2),
                "mean": round(self.round_trip.mean * 1000, 2),
                "max": round(self.round_trip.longest * 1000, 2),
            },
            "missed": self.missed,
            "skipped": self.skipped,
            "readings": self.readings,
            "writes": self.writes,
            "write_errors": self.write_errors,
            "reconnects": self.reconnects,
            "last_error": self.last_error,
            "last_error_ts": self.last_error_ts,
            "last_good_ts": self.last_good_ts,
        }
