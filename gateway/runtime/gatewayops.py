"""Ops on the gateway as a whole: rebirth, resync, resend, diagnostics, log_level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.journal import STREAMS
from gateway.runtime import oparguments
from gateway.runtime.diagnostics import PARTS, snapshot
from gateway.runtime.loglevels import LEVELS, LogLevels, is_ours
from gateway.runtime.ops import ADMIN, OPERATE, READ, Call, Op, OpRefused

if TYPE_CHECKING:
    from gateway.runtime.node import Node

DAY_S = 86400.0
MAX_RESENT = 1_000_000


class GatewayOps:
    """The ops over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._levels = LogLevels(node.clock)

    def table(self) -> dict[str, Op]:
        return {
            "rebirth": Op(READ, self.rebirth),
            "resync": Op(READ, self.resync),
            "resend": Op(OPERATE, self.resend),
            "diagnostics": Op(ADMIN, self.diagnostics),
            "log_level": Op(ADMIN, self.log_level),
        }

    async def rebirth(self, _call: Call) -> dict[str, Any]:
        """The birth once more, on every uplink."""
        self._node.uplinks.rebirth()
        return {"out": {}}

    async def resync(self, _call: Call) -> dict[str, Any]:
        """All reported documents once more, over every uplink."""
        self._node.uplinks.resync()
        return {"out": {}}

    async def resend(self, call: Call) -> dict[str, Any]:
        """What is still held of a range goes out again as historical."""
        stream = oparguments.text(call, "stream")
        if stream not in STREAMS:
            raise OpRefused(f"there is no stream {stream}; there are {', '.join(STREAMS)}", code=404)
        epoch = oparguments.whole(call, "epoch")
        first = oparguments.whole(call, "from", 1)
        last = oparguments.whole(call, "to", first)
        if last - first >= MAX_RESENT:
            raise OpRefused(f"at most {MAX_RESENT} numbers in one command", code=413)
        uplink = call.caller.uplink or call.args.get("uplink")
        return await self._node.uplinks.resend(uplink, stream, epoch, first, last)

    async def diagnostics(self, call: Call) -> dict[str, Any]:
        """A redacted snapshot."""
        parts = oparguments.names(call, "parts")
        unknown = [part for part in parts or () if part not in PARTS]
        if unknown:
            raise OpRefused(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}", code=404)
        return {"out": snapshot(self._node, PARTS if parts is None else parts)}

    async def log_level(self, call: Call) -> dict[str, Any]:
        """Another level for a while."""
        level = oparguments.text(call, "level").upper()
        logger = oparguments.text(call, "logger") if "logger" in call.args else "fieldpost"
        for_s = oparguments.seconds(call, "for", DAY_S)
        if level not in LEVELS:
            raise OpRefused(f"level is one of {', '.join(LEVELS)}", code=400)
        if not is_ours(logger):
            raise OpRefused(f"the level of {logger} cannot be changed", code=404)
        self._levels.set(logger, level, for_s)
        self._node.audit.record(
            call.caller.who, call.caller.via, "log_level", logger=logger, level=level, for_ms=round(for_s * 1000)
        )
        return {"out": {"logger": logger, "level": level}}
