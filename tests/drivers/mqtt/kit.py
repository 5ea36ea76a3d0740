"""Channels as people write them, and the way of a message through the driver without a broker."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml

from drivers.mqtt.discovery.watch import Watch
from drivers.mqtt.driver import maps_of
from drivers.mqtt.inbox import Inbox
from drivers.mqtt.ledger import Ledger
from drivers.mqtt.point import below
from drivers.mqtt.presence import Presence, Word, words_of
from drivers.mqtt.router import Router
from gateway.errors import ConfigError
from gateway.model import ChannelSpec, Quality
from gateway.mqttclient.connection import Inbound
from gateway.settings.loader import load_tree
from gateway.testing import FakeContext, ManualClock


def channel_of(channel: dict[str, Any] | str, *, url: str = "mqtt://127.0.0.1:1883") -> ChannelSpec:
    """A channel as the loader makes it. Raises ConfigError."""
    values = yaml.safe_load(channel) if isinstance(channel, str) else dict(channel)
    values = {"driver": "mqtt", "url": url, "devices": {}, **values}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        (tree / "channels").mkdir()
        (tree / "gateway.yaml").write_text("gateway: {id: test}\n")
        (tree / "channels" / "plant.yaml").write_text(json.dumps(values))
        return load_tree(tree, env={}).channels[0]


def faults_of(channel: dict[str, Any] | str) -> list[str]:
    """What the loader says of a channel: path and message."""
    try:
        channel_of(channel)
    except ConfigError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []


class Bench:
    """The inside of a driver: messages in, readings of a FakeContext out. `confirmed` are acknowledged mids."""

    def __init__(self, channel: dict[str, Any] | str, clock: ManualClock | None = None) -> None:
        self.spec = channel_of(channel)
        self.clock = clock or ManualClock()
        self.ctx = FakeContext(self.spec, self.clock)
        settings = self.spec.settings
        self.presence = Presence(self.ctx)
        maps = [made for device in self.ctx.devices for made in maps_of(settings, device, self.ctx)]
        self.watch = Watch(self.ctx, [made.filter for made in maps])
        words = [
            Word(self.presence, device, place, word, below(device.spec.settings.topic, word.topic))
            for device in self.ctx.devices
            for place, word in enumerate(words_of(device.spec.settings))
        ]
        self.takers: list[Any] = [*maps, *words, *self.watch.takers()]
        self.inbox = Inbox(self.ctx, Router(self.takers), self.presence, settings.receive_maximum, settings.max_payload)
        self.inbox.prepare(taker.format for taker in self.takers)
        self.confirmed: list[int] = []
        self.ledger = Ledger(
            lambda message: self.confirmed.append(message.ticket), self.ctx.hurry, settings.receive_maximum
        )
        self._mid = 0

    def take(self, topic: str, payload: Any, *, qos: int = 1, retain: bool = False) -> None:
        """A message comes in."""
        self._mid += 1
        data = payload if isinstance(payload, bytes) else str(payload).encode()
        self.inbox.take(Inbound(topic, data, retain, qos, self._mid), self.ledger)

    def readings(self) -> list[dict[str, Any]]:
        """What was published: a row per batch."""
        rows = []
        for batch in self.ctx.batches:
            codes = batch.quality if batch.quality is not None else [0] * len(batch)
            row: dict[str, Any] = {"device": batch.block.device}
            row["values"] = {tag.path: value for tag, value in zip(batch.tags, batch.values, strict=True)}
            bad = {tag.path: Quality(code).text for tag, code in zip(batch.tags, codes, strict=True) if code}
            if bad:
                row["quality"] = bad
            if batch.ts != self.clock.wall_ms():
                row["ts"] = batch.ts
            rows.append(row)
        return rows
