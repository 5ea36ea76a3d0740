"""A look at a device for the result of an interrupted command: what do its tags show now?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.model import DeviceState, Quality
from gateway.plans import is_readable
from gateway.runtime.tagops import carried

if TYPE_CHECKING:
    from gateway.runtime.node import Node

_KNOWN_WITHIN_S = 5.0
_READ_S = 15.0
_STEP_S = 0.1

_log = logging.getLogger("fieldpost")


class Looker:
    """Implements gateway.uplink.ports.Look over a running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def __call__(self, device: str, tags: Sequence[str]) -> dict[str, dict[str, Any]]:
        try:
            async with asyncio.timeout(_KNOWN_WITHIN_S + _READ_S):
                return await self._shown(device, tags)
        except Exception as error:
            _log.warning("what %s shows now is not known: %s", device, error or "no answer in time")
            return {}

    async def _shown(self, device: str, tags: Sequence[str]) -> dict[str, dict[str, Any]]:
        known, runner = self._node.tags.device(device), self._node.channels.target(device)
        if known is None or runner is None:
            return {}
        for _ in range(int(_KNOWN_WITHIN_S / _STEP_S)):  # just after the start nobody has heard of the device yet
            if runner.states().get(device) is not DeviceState.UNKNOWN:
                break
            await self._node.clock.sleep(_STEP_S)
        chosen = [tag for tag in known.tags if tag.path in tags and is_readable(tag)]
        rows = await runner.read(chosen) if chosen else []
        return {
            tag.path: {"value": carried(value), "quality": Quality(quality).text, "ts": ts}
            for tag, value, quality, ts in rows
            if ts is not None
        }
