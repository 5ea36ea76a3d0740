"""What is known of one topic during one connection: what is to be sent again, and why it is held back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

from gateway.journal import Gap
from gateway.uplink.backoff import Retry
from gateway.uplink.connection import Outgoing

PROBE_S = 60.0
"""A topic we may not publish on is tried this often."""


@dataclass(slots=True)
class Parcel:
    """A message made, and what it covers. Kept until its fate is known; sent again as it is.

    `since`: when its readings became due (boot clock), for the lateness of live data. `tries`: refusals so far.
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
    deadline: float = 0.0

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

    def take(self, kind: str) -> Parcel | None:
        """The oldest parcel of that class that is to be sent again."""
        for parcel in self.again:
            if parcel.kind == kind:
                self.again.remove(parcel)
                return parcel
        return None

    def accepted(self) -> bool:
        """A message went through; True when the lane had trouble before."""
        troubled = self.denied or self._retry.failures > 0
        self.denied = False
        self._retry.succeeded()
        self.held_until = 0.0
        return troubled

    def refused(self, parcel: Parcel, now: float) -> None:
        """Not now: back off. Messages that were in flight together count as one failure."""
        self._put_back(parcel)
        if now >= self.held_until:
            self.held_until = now + self._retry.failed()

    def deny(self, parcel: Parcel, now: float) -> None:
        """Not authorized: one probe a minute."""
        self._put_back(parcel)
        self.denied = True
        self.held_until = now + PROBE_S

    def _put_back(self, parcel: Parcel) -> None:
        """Oldest first, also when several come back at once."""
        place = sum(1 for other in self.again if (other.epoch, other.first) < (parcel.epoch, parcel.first))
        self.again.insert(place, parcel)
