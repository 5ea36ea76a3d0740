"""Ops of the shadows: views, edits at the gateway, changes as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from gateway.local.peer import signed
from gateway.local.wire import OpError
from gateway.runtime.node import Node
from gateway.shadows.values import ShadowError


class ShadowOps:
    """The ops over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """The shadow of a device, or of all that have one."""
        device = args.get("device")
        devices = self._node.shadows.desk.devices() if device is None else [str(device)]
        try:
            return {"shadows": [await self._node.shadows.desk.view(each) for each in devices]}
        except ShadowError as error:
            raise OpError(str(error), code=error.code) from error

    async def set(self, args: dict[str, Any]) -> dict[str, Any]:
        """Set values of one device at the gateway, all or none."""
        device, values = args.get("device"), args.get("values")
        if not isinstance(device, str) or not isinstance(values, dict) or not values:
            raise OpError('shadow_set takes {"device": ..., "values": {"path": value, ...}}', code=400)
        try:
            await self._node.shadows.desk.set(device, values, who=_who(args))
            return {"shadows": [await self._node.shadows.desk.view(device)]}
        except ShadowError as error:
            raise OpError(str(error), code=error.code) from error

    async def delete(self, args: dict[str, Any]) -> dict[str, Any]:
        """Take local edits back, or delete desired leaves where the gateway gives the versions."""
        device, paths = args.get("device"), args.get("paths")
        if not isinstance(device, str) or not isinstance(paths, list) or not paths:
            raise OpError('shadow_delete takes {"device": ..., "paths": ["path", ...]}', code=400)
        try:
            for path in paths:
                await self._node.shadows.desk.delete(device, str(path), who=_who(args))
            return {"shadows": [await self._node.shadows.desk.view(device)]}
        except ShadowError as error:
            raise OpError(str(error), code=error.code) from error

    async def watch(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """All shadows, then their changes; with `revision`, only the changes after it."""
        revision, device = args.get("revision"), args.get("device")
        async for item in self._node.shadows.desk.watch(str(revision) if revision is not None else None):
            if device is None or item["device"] == device:
                yield item


def _who(args: dict[str, Any]) -> str:
    return signed(args.get("who"), args.get("caller"))[:64]
