"""What is known of one topic during one connection: what is to be sent again, and why it is held back."""

from __future__ import annotations

from collections import deque
from random import Random

from msgspec import Struct

from gateway.journal import Gap
from gateway.mqttclient.connection import Outgoing
from gateway.uplink.backoff import Retry

PROBE_S = 60.0
"""A topic we may not publish on is tried this often."""


class Stretch:
    """Numbers that go in several messages: done when there are no more of these, and all have found their fate."""

    def __init__(self) -> None:
        self._left = 0
        self._whole = False

    def add(self) -> None:
        """A message was made."""
        self._left += 1

    def close(self) -> None:
        """It was the last one."""
        self._whole = True

    def settle(self) -> bool:
        """One more message is through, or given up. True for the last of all."""
        self._left -= 1
        return self._whole and self._left == 0


class Parcel(Struct):
    """A message made, and what it covers. Kept until its fate is known; sent again as it is.

    `since`: when its readings became due (boot clock), for the lateness of live data. `tries`: refusals so far.
    `sent`: when it was sent last; `deadline`: until when its PUBACK is waited for. `stretch`: it is one of several
    messages that cover first..last together; `numbers` are those of its own readings, first and last.
    """

    kind: str
    message: Outgoing
    stream: str
    epoch: int
    first: int
    last: int
    readings: int
    since: float
    gap: Gap | None = None
    tries: int = 0
    sent: float = 0.0
    deadline: float = 0.0
    stretch: Stretch | None = None
    numbers: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        return len(self.message.payload)


class Lane:
    """One topic. `in_flight` counts its unacknowledged messages."""

    def __init__(self, topic: str, random: Random) -> None:
        self.topic = topic
        self.in_flight = 0
        self.again: deque[Parcel] = deque()
        self.held_until = 0.0
        self.denied = False
        self._refused_at = float("-inf")
        self._retry = Retry(random)

    @property
    def failures(self) -> int:
        """Refusals in a row."""
        return self._retry.failures

    def open(self, now: float) -> bool:
        """Whether a message may go now. A lane that was refused is tried with one message at a time."""
        if now < self.held_until:
            return False
        return self.in_flight == 0 if self._retry.failures or self.denied else True

    def waits(self, kind: str) -> bool:
        """Whether a parcel of that class is to be sent again."""
        return any(parcel.kind == kind for parcel in self.again)

    def take(self, kind: str) -> Parcel | None:
        """The oldest parcel of that class that is to be sent again."""
        for parcel in self.again:
            if parcel.kind == kind:
                self.again.remove(parcel)
                return parcel
        return None

    def accepted(self, parcel: Parcel) -> bool:
        """A message went through; whether the lane is well. One that was on its way already when another was refused
        says nothing of the refusal: the lane stays held back.
        """
        if parcel.sent <= self._refused_at:
            return False
        self.denied = False
        self._retry.succeeded()
        self.held_until = 0.0
        return True

    def refused(self, parcel: Parcel, now: float) -> None:
        """Not now: back off. Messages that were in flight together count as one failure."""
        self._put_back(parcel)
        self._refused_at = now
        if now >= self.held_until:
            self.held_until = now + self._retry.failed()

    def deny(self, parcel: Parcel, now: float) -> None:
        """Not authorized: one probe a minute."""
        self._put_back(parcel)
        self._refused_at = now
        self.denied = True
        self.held_until = now + PROBE_S

    def _put_back(self, parcel: Parcel) -> None:
        """Oldest first, also when several come back at once."""
        place = sum(1 for other in self.again if (other.epoch, other.first) < (parcel.epoch, parcel.first))
        self.again.insert(place, parcel)
