"""The op `audit`: who changed what, and whether the list is whole."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.local.wire import OpError
from gateway.runtime.node import Node


class _Args(msgspec.Struct, frozen=True):
    """What the op takes."""

    since_ms: int | None = None
    who: str | None = None
    device: str | None = None
    limit: int | None = None
    verify: bool = False


class AuditOps:
    """The op over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def audit(self, args: dict[str, Any]) -> dict[str, Any]:
        """The newest entries, newest last; with `verify` the verdict on everything held."""
        try:
            asked = msgspec.convert(args, _Args)
        except msgspec.ValidationError as error:
            raise OpError(f"audit: {error}", code=400) from error
        from gateway.runtime.trail import Trail, Wanted  # asked for rarely: a start does without it

        trail = Trail(self._node.store)
        if asked.verify:
            return (await trail.verify()).view()
        wanted = Wanted(asked.since_ms or 0, asked.who, asked.device, asked.limit or Wanted().limit)
        return {"entries": await trail.rows(wanted), "gaps": [hole.view() for hole in trail.gaps()]}
