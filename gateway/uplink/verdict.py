"""What a PUBACK means for what was sent (protocol.md 2.4)."""

from __future__ import annotations

from typing import NamedTuple

from gateway.clock import Clock
from gateway.health import Health
from gateway.journal import Consumer
from gateway.mqttclient.connection import NOT_AUTHORIZED, REFUSED
from gateway.uplink.counters import Counters
from gateway.uplink.lanes import Lane, Parcel
from gateway.uplink.ports import Identity

UNROUTED = 0x10
IDENTIFIER_IN_USE = 0x91
POISON = frozenset((0x90, 0x99))
"""Topic name invalid, payload format invalid: this message will never pass."""
TRIES = 3
STRIKES = 3
"""Refusals in a row before a person is told."""

_REASON = {
    0x80: "unspecified error",
    0x83: "the broker's own limit or rule (implementation specific)",
    0x87: "not authorized",
    0x90: "topic name invalid",
    0x97: "quota exceeded",
    0x99: "payload format invalid",
}


class Verdict:
    """Applies reason codes: moves the cursor, holds lanes back, raises and clears issues of one uplink.

    `by_consumer`: a PUBACK frees the window only; the cursor moves on the consumer's ack (2.10).
    """

    def __init__(
        self, name: str, consumer: Consumer, counters: Counters, clock: Clock, health: Health, *, by_consumer: bool
    ) -> None:
        self._name = name
        self._consumer = consumer
        self._counters = counters
        self._clock = clock
        self._health = health
        self._by_consumer = by_consumer
        self._unrouted: set[str] = set()
        """Topics that nobody subscribed to when last used. Each by itself: an event that tells of it goes out, too."""
        self.defect = ""

    def judge(self, parcel: Parcel, lane: Lane, code: int, now: float) -> bool:
        """Apply a code. True when the broker has the message."""
        if code < REFUSED:
            self._accept(parcel, lane, code, now)
            return True
        self._counters.refuse(lane.topic)
        if code == IDENTIFIER_IN_USE:
            self.defect = "the broker says that a packet identifier is in use: connecting anew"
        elif code == NOT_AUTHORIZED:
            lane.deny(parcel, now)
            self._tell_refused(lane, code, "allow this gateway's user to publish on that topic in the broker's ACL")
        elif code in POISON and parcel.gap is None:
            self._poison(parcel, lane, code)
        else:
            lane.refused(parcel, now)
            if lane.failures >= STRIKES:
                self._tell_refused(lane, code, "look at the broker's quotas, rules and log")
        return False

    def _accept(self, parcel: Parcel, lane: Lane, code: int, now: float) -> None:
        if lane.accepted(parcel):
            # Always: the refusal may have been told by a connection before this one.
            self._health.clear("uplink_refused", f"{self._name}/{lane.topic}")
        self._counters.done(now, self._clock.wall_ms(), parcel)
        if code == UNROUTED:
            self._counters.unrouted += 1
            self._unrouted.add(lane.topic)
            self._tell_unrouted()
        elif lane.topic in self._unrouted:
            self._unrouted.discard(lane.topic)
            self._tell_unrouted()
        if self._by_consumer:
            return
        if parcel.gap is not None:
            self._consumer.gap_done(parcel.gap)
        else:
            self._pass(parcel)

    def _pass(self, parcel: Parcel) -> None:
        """Move the cursor, where no other message of the same numbers is on its way."""
        if parcel.stretch is None or parcel.stretch.settle():
            self._consumer.done(parcel.stream, parcel.epoch, parcel.first, parcel.last)

    def _tell_unrouted(self) -> None:
        if not self._unrouted:
            self._health.clear("uplink_unrouted", self._name)
            return
        self._health.set(
            "uplink_unrouted",
            self._name,
            f"the broker {self._name} takes messages on {', '.join(sorted(self._unrouted))} that nobody subscribes to",
            f"subscribe a consumer to {_subscription(self._unrouted)}; ignore this if a rule engine of the broker "
            "takes them",
        )

    def _poison(self, parcel: Parcel, lane: Lane, code: int) -> None:
        parcel.tries += 1
        if parcel.tries < TRIES:
            lane.again.appendleft(parcel)
            return
        self._counters.dead += 1
        first, last = parcel.numbers or (parcel.first, parcel.last)
        self._consumer.refuse(parcel.stream, parcel.epoch, first, last, "refused", code)
        if parcel.stretch is not None:
            self._pass(parcel)
        self._health.set(
            "uplink_dead_letter",
            self._name,
            f"the broker refused {parcel.readings} readings from {parcel.stream} {first} for good: "
            f"{_REASON[code]} (0x{code:02x}) on {lane.topic}",
            "look at the broker's payload rules; the readings are listed as a gap `refused`",
        )

    def _tell_refused(self, lane: Lane, code: int, repair: str) -> None:
        reason = _REASON.get(code, "refused")
        self._health.set(
            "uplink_refused",
            f"{self._name}/{lane.topic}",
            f"the broker {self._name} refuses {lane.topic}: {reason} (0x{code:02x}); nothing is lost, it waits",
            repair,
        )

    def consumer_silent(self, seconds: float) -> None:
        """No ack of the consumer for that long."""
        self._health.set(
            "uplink_no_ack",
            self._name,
            f"no consumer has acknowledged anything for {seconds:g} s: everything above the cursor is sent again",
            "start the consumer that publishes down/ack, or set `ack: broker`",
        )

    def consumer_heard(self) -> None:
        self._health.clear("uplink_no_ack", self._name)


def _subscription(topics: set[str]) -> str:
    """What a consumer subscribes to, for a person."""
    return "fp/1/+/+/up/#" if any(topic.startswith("fp/") for topic in topics) else "these topics"


class Beside(NamedTuple):
    """Topics beside the readings. `name`: their first level below the gateway's root; `topics`: all of them, as a
    filter below the root; `loss`: what nobody sees while they are refused.
    """

    name: str
    topics: str
    loss: str


def tell_refused_beside(health: Health, uplink: str, identity: Identity, beside: Beside, topic: str, code: int) -> None:
    """Open the issue of an uplink for a code that refuses `topic`, close it for one that does not."""
    entity = f"{uplink}/{beside.name}"
    if code < REFUSED:
        health.clear("uplink_refused", entity)
        return
    health.set(
        "uplink_refused",
        entity,
        f"the broker refuses messages on {topic} (0x{code:02x}): nobody sees {beside.loss}",
        f"allow this gateway's user to publish on {identity.root}/{beside.topics}",
    )
