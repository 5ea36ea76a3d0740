"""From a topic to who wants its messages. Plain topics by a look-up, wildcards once per topic that was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from drivers.mqtt.topics import is_wild, matches
from gateway.mqttclient.connection import Inbound

MOST_TOPICS = 10_000
"""Topics whose takers are remembered: beyond, all are looked for anew. A storm of topics costs time, not memory."""


class Taker(Protocol):
    """Somebody who wants the messages of a filter, decoded in `format`."""

    @property
    def filter(self) -> str: ...

    @property
    def format(self) -> str: ...

    def take(self, message: Inbound, document: Any) -> Sequence[Any]:
        """What is to be published of it."""
        ...


class Router:
    """All takers of a channel."""

    def __init__(self, takers: Iterable[Any]) -> None:
        self._plain: dict[str, list[Any]] = {}
        self._wild: list[Any] = []
        for taker in takers:
            if is_wild(taker.filter):
                self._wild.append(taker)
            else:
                self._plain.setdefault(taker.filter, []).append(taker)
        self._known: dict[str, tuple[Any, ...]] = {}

    def takers(self, topic: str) -> tuple[Any, ...]:
        """Everybody who wants a topic's messages; those of one format follow each other."""
        try:
            return self._known[topic]
        except KeyError:
            pass
        if len(self._known) >= MOST_TOPICS:
            self._known.clear()
        found = [*self._plain.get(topic, ()), *(each for each in self._wild if matches(each.filter, topic))]
        found.sort(key=lambda taker: str(taker.format))
        self._known[topic] = tuple(found)
        return self._known[topic]
