"""What a channel looks for beyond its configured devices, as takers of the router."""

from __future__ import annotations

from typing import Any

from drivers.mqtt.discovery.describing import Described
from drivers.mqtt.discovery.homeassistant import HomeAssistant
from drivers.mqtt.discovery.patterns import Pattern
from drivers.mqtt.discovery.zigbee2mqtt import Zigbee2Mqtt
from drivers.mqtt.settings import ChannelSettings
from drivers.mqtt.topics import is_wild, matches
from gateway.driver import DriverContext


class Watch:
    """All watchers of a channel's `discover`. `filters`: topics of the configured devices."""

    def __init__(self, ctx: DriverContext, filters: list[str]) -> None:
        self._ctx = ctx
        self._plain = {name for name in filters if not is_wild(name)}
        self._wild = [name for name in filters if is_wild(name)]
        settings: ChannelSettings = ctx.channel.settings
        wanted = settings.discover
        self._sources: list[Any] = []
        if wanted.home_assistant:
            self._sources.append(HomeAssistant(wanted.home_assistant, self._found))
        if wanted.zigbee2mqtt:
            self._sources.append(Zigbee2Mqtt(wanted.zigbee2mqtt, self._found))
        self._patterns = [Pattern(topic, self._found, self._configured) for topic in wanted.topics]

    def takers(self) -> list[Any]:
        """Everything that is to be subscribed for it."""
        return [*(taker for source in self._sources for taker in source.takers()), *self._patterns]

    @property
    def left_out(self) -> int:
        """Described devices beyond what is remembered."""
        return sum(source.left_out for source in (*self._sources, *self._patterns))

    def _configured(self, topic: str) -> bool:
        return topic in self._plain or any(matches(name, topic) for name in self._wild)

    def _found(self, device: Described) -> None:
        if not any(self._configured(topic) for topic in device.topics):
            self._ctx.sighted(device.sighting())
