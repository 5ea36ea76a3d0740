"""What a channel looks for beyond its configured devices, as takers of the router."""

from __future__ import annotations

from typing import Any

from drivers.mqtt.discovery.describing import MOST_DEVICES, Described, Remembered
from drivers.mqtt.discovery.homeassistant import HomeAssistant
from drivers.mqtt.discovery.patterns import Pattern
from drivers.mqtt.discovery.zigbee2mqtt import Zigbee2Mqtt
from drivers.mqtt.settings import ChannelSettings
from drivers.mqtt.topics import is_wild, matches
from gateway.driver import DriverContext

CROWDED = "descriptions_left_out"
_QUIET_S = 60.0
"""Of devices that are seen by their values, which come again and again: a crowd does not push itself out in turns. A
description comes once, so a new one always takes the place of the oldest.
"""


class Watch:
    """All watchers of a channel's `discover`. `filters`: topics of the configured devices."""

    def __init__(self, ctx: DriverContext, filters: list[str]) -> None:
        self._ctx = ctx
        self._plain = {name for name in filters if not is_wild(name)}
        self._wild = [name for name in filters if is_wild(name)]
        settings: ChannelSettings = ctx.channel.settings
        wanted = settings.discover
        self._sources: list[Any] = []
        self._memories: list[Any] = []
        if wanted.home_assistant:
            self._sources.append(HomeAssistant(wanted.home_assistant, self._found, self._memory(0.0)))
        if wanted.zigbee2mqtt:
            bridge = Zigbee2Mqtt(wanted.zigbee2mqtt, self._found, self._crowd)
            self._sources.append(bridge)
            self._memories.append(bridge)
        self._patterns = [
            Pattern(topic, self._found, self._configured, self._memory(_QUIET_S)) for topic in wanted.topics
        ]

    def takers(self) -> list[Any]:
        """Everything that is to be subscribed for it."""
        return [*(taker for source in self._sources for taker in source.takers()), *self._patterns]

    @property
    def left_out(self) -> int:
        """Described devices beyond what is remembered."""
        return sum(memory.left_out for memory in self._memories)

    def _memory(self, quiet_s: float) -> Remembered:
        memory = Remembered(self._ctx.clock.mono, self._crowd, quiet_s)
        self._memories.append(memory)
        return memory

    def _crowd(self) -> None:
        if any(memory.crowded for memory in self._memories):
            text = f"more than {MOST_DEVICES} devices are described on this channel: not all of them are looked at"
            repair = "see who publishes them, and remove retained descriptions of devices that do not exist"
            self._ctx.issue(CROWDED, text, repair)
        else:
            self._ctx.clear(CROWDED)

    def _configured(self, topic: str) -> bool:
        return topic in self._plain or any(matches(name, topic) for name in self._wild)

    def _found(self, device: Described) -> None:
        device.configured = any(self._configured(topic) for topic in device.topics)
        if not device.configured:
            self._ctx.sighted(device.sighting())
