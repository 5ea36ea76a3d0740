"""A driver that pushes: its devices count, and it sees the offers that a file lists. Its tree is as large as it is told."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.abilities import Sighting
from gateway.driver import DriverContext, DriverSpec
from gateway.model import Block

TICK_S = 0.1


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offers: str = ""
    tree: int = 0


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    port: int = 0


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    node: str = "n0"


class Spotter:
    def __init__(self) -> None:
        self._settings = ChannelSettings()

    async def run(self, ctx: DriverContext) -> None:
        self._settings = ctx.channel.settings
        blocks = [Block(device.id, device.tags) for device in ctx.devices if device.tags]
        for device in ctx.devices:
            ctx.online(device.id)
        ctx.link(up=True)
        count = 0
        while True:
            count += 1
            for block in blocks:
                ctx.publish(block, [count] * len(block.tags))
            for offer in self._offers():
                ctx.sighted(msgspec.convert(offer, Sighting))
            await ctx.clock.sleep(TICK_S)

    def _offers(self) -> list[dict[str, Any]]:
        path = Path(self._settings.offers)
        return json.loads(path.read_text()) if self._settings.offers and path.exists() else []

    async def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        if unknown := options.keys() - {"at", "depth", "filter"}:
            raise ValueError(f"there is no option {min(unknown)}")
        if "filter" not in options:
            yield {"address": "plant", "name": "plant", "path": "plant", "kind": "folder", "type": "", "access": ""}
        wanted = options.get("filter", "*")
        for number in range(self._settings.tree):
            if number % 1000 == 0:
                yield {"done": number}
            if not fnmatch.fnmatchcase(f"plant/node {number}", wanted):
                continue
            yield {
                "address": f"n{number}",
                "name": f"node {number}",
                "path": f"plant/node {number}",
                "kind": "variable",
                "type": "int32",
                "access": "r",
                "keys": {"node": f"n{number}", "type": "int32"},
                "value": number,
            }


SPEC = DriverSpec("spotter", ChannelSettings, DeviceSettings, TagSettings, Spotter)
