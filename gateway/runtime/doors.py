"""The ways in which rules act on the world, over the running gateway (gateway.acting.ports.Doors)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.runtime.ops import OPERATE
from gateway.shadows.values import Origin
from gateway.uplink.ports import Caller

if TYPE_CHECKING:
    from gateway.runtime.node import Node


class NodeDoors:
    """Doors of one running node; asked only while it runs."""

    def __init__(self) -> None:
        self.node: Node

    async def desire(self, device: str, values: dict[str, Any], who: str) -> None:
        await self.node.shadows.desk.set(device, values, who=who, origin=Origin.RULE)

    async def command(self, op: str, device: str, args: dict[str, Any], who: str, within_s: float) -> dict[str, Any]:
        caller = Caller(who, via="rule", scope=OPERATE, within_s=within_s)
        return await self.node.ops(op, device or None, args, caller)

    async def publish(self, uplink: str, topic: str, payload: bytes, *, retain: bool, expiry_s: float) -> None:
        await self.node.uplinks.publish(uplink, topic, payload, retain=retain, expiry_s=expiry_s)

    def notify(self, to: Sequence[str], text: str, who: str) -> Sequence[str]:
        return self.node.notifier.send(to, text, who)
