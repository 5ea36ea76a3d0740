"""Devices by a pattern of topics: `plant/{device}/state`. Their tags are what their messages hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from drivers.mqtt.discovery.describing import Described, Remembered, tag_name
from drivers.mqtt.formats import BadPayload, decoder, guess
from drivers.mqtt.scan import proposed
from drivers.mqtt.topics import device_of, share
from gateway.mqttclient.connection import Inbound

Found = Callable[[Described], None]
_MOST_TOPICS = 100
"""Topics of one device that are looked at."""


class Pattern:
    """A taker of the router. `configured` says of a topic whether a device of the configuration has it."""

    def __init__(self, pattern: str, found: Found, configured: Callable[[str], bool], memory: Remembered) -> None:
        self.filter = share(pattern)
        self.format = "raw"
        self._pattern = pattern
        self._found = found
        self._configured = configured
        self._memory = memory

    def take(self, message: Inbound, document: bytes) -> Sequence[Any]:
        name = device_of(self._pattern, message.topic)
        if not name or self._configured(message.topic):
            return ()
        known = self._memory.told(name)
        if known is None:
            known = Described(f"{self._pattern}:{name}", name, {"source": "topic", "topic": message.topic})
            if not self._memory.add(name, known)[0]:
                return ()
        topics = known.told_by
        if message.topic not in topics and len(topics) < _MOST_TOPICS:
            topics.add(message.topic)
            self._look(known, message.topic, document, alone=len(topics) == 1)
        return ()

    def _look(self, known: Described, topic: str, payload: bytes, *, alone: bool) -> None:
        form = guess(payload)
        try:
            tags, time = proposed(decoder(form)(payload), form)
        except (BadPayload, RuntimeError):
            tags, time = {}, ""
        last = tag_name(topic.rpartition("/")[2])
        named = {last if name == "value" else name: {"topic": topic, **keys} for name, keys in tags.items()}
        known.parts[topic] = named
        if alone:
            known.keys["topic"] = topic
        if time and "time" not in known.keys:
            known.properties["time"] = f"{topic} {time}"
        self._found(known)
