"""Ops of what people set by hand for a while: forced tags and maintenance."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from gateway.commands import coerce
from gateway.errors import WriteRejected
from gateway.holds import LONGEST_S, Hold
from gateway.local.arguments import seconds, text
from gateway.local.durable import kept
from gateway.local.peer import signed
from gateway.local.wire import OpError
from gateway.runtime.node import Node, plain


class HandOps:
    """The ops over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def force(self, args: dict[str, Any]) -> dict[str, Any]:
        """Force a tag for `for_s` seconds, release one (`release`), or list those that are forced."""
        forces = self._node.forces
        released, name, reason = text(args, "release"), text(args, "tag"), text(args, "reason") or ""
        if released is not None:
            names = list(forces.holds.all()) if released == "all" else [released]
            done = [name for name in names if forces.release(name, _who(args))]
            if not done and released != "all":
                raise OpError(f"{released} is not forced", code=404)
            return await kept(self._node.store, {"released": done})
        if name is not None:
            lasting = seconds(args, "for_s", LONGEST_S)
            tag = self._node.tags.find(name)
            if tag is None:
                raise OpError(f"there is no tag {name}", code=404)
            try:
                value = coerce(tag, args.get("value"))
            except WriteRejected as error:
                raise OpError(str(error), code=error.code) from error
            forces.set(tag, value, lasting, _who(args), reason)
            return await kept(self._node.store, self._forced())
        return self._forced()

    def _forced(self) -> dict[str, Any]:
        return {"forced": [_row(hold) for hold in self._node.forces.holds.all().values()]}

    async def maintenance(self, args: dict[str, Any]) -> dict[str, Any]:
        """Begin maintenance of a device for `for_s` seconds, end it (`end`), or list."""
        maintenance, device, reason = self._node.maintenance, text(args, "device"), text(args, "reason") or ""
        if device is not None:
            lasting = 0.0 if args.get("end") else seconds(args, "for_s", LONGEST_S)
            if self._node.tags.device(device) is None:
                raise OpError(f"there is no device {device}", code=404)
            if args.get("end"):
                if not maintenance.end(device, _who(args)):
                    raise OpError(f"{device} is not under maintenance", code=404)
            else:
                maintenance.begin(device, lasting, _who(args), reason)
            return await kept(self._node.store, self._maintenance())
        return self._maintenance()

    def _maintenance(self) -> dict[str, Any]:
        maintenance = self._node.maintenance
        return {"maintenance": [_row(hold) for hold in maintenance.holds.all().values()]}


def _who(args: dict[str, Any]) -> str:
    return signed(args.get("who"), args.get("caller"))


def _row(hold: Hold) -> dict[str, Any]:
    return {**asdict(hold), "value": plain(hold.value)}
