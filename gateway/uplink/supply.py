"""The sources of one connection, by the uplink's codec. Each codec is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gateway.health import Health
from gateway.journal import Consumer
from gateway.settings.types import UplinkSettings
from gateway.uplink.codecs.base import Codec
from gateway.uplink.counters import Counters
from gateway.uplink.ports import Identity, ModelView
from gateway.uplink.sources import Limits, Sources

if TYPE_CHECKING:
    from gateway.edgexevents.resources import Resource


class Supply:
    """Makes them. `resources`: what EdgeX calls the tags, for codec `edgex`."""

    def __init__(
        self,
        settings: UplinkSettings,
        identity: Identity,
        health: Health,
        counters: Counters,
        resources: Callable[[], Mapping[int, Resource]],
        model: Callable[[], ModelView],
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._health = health
        self._counters = counters
        self._resources = resources
        self._model = model

    def sources(self, consumer: Consumer, limits: Limits, dict_ready: Callable[[int], bool]) -> Sources:
        settings, identity = self._settings, self._identity
        if settings.codec == "edgex":
            from gateway.uplink.codecs.edgex import EdgexCodec
            from gateway.uplink.eventsources import EventSources

            events = EdgexCodec(
                identity.tenant,
                identity.id,
                settings.topic,
                envelope=settings.envelope,
                all_qualities=settings.quality == "all",
            )
            return EventSources(settings, identity, consumer, events, limits, self._resources, self._lost)
        return Sources(settings, identity, consumer, self._codec(), limits, dict_ready, self._model)

    def _codec(self) -> Codec:
        if self._settings.codec == "json":
            from gateway.uplink.codecs.json_codec import JsonCodec

            return JsonCodec(self._identity.id, self._settings.compress)
        from gateway.uplink.codecs.native import NativeCodec

        return NativeCodec(self._identity.id, "zlib")

    def _lost(self, readings: int, why: str) -> None:
        """A gap record that the codec has no words for: told here."""
        self._counters.lost += readings
        self._health.set(
            "uplink_gap",
            self._settings.name,
            f"{self._counters.lost} readings will never reach {self._settings.name} (the last of them: {why}): "
            "its format has no words for that",
            "look at `fieldpost journal`; raise `store.journal.max_bytes` where the journal was full",
        )
