"""Ops of what was discovered: list, approve, reject, forget, export. Socket and uplinks are served by the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from gateway.runtime import oparguments
from gateway.runtime.ops import ADMIN, OPERATE, READ, Call, Op
from gateway.uplink.ports import Caller

if TYPE_CHECKING:
    from gateway.runtime.node import Node

MOST_LISTED = 500


class DiscoveryOps:
    """The ops over one running node. A device that comes in changes the configuration: that is for administrators."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def table(self) -> dict[str, Op]:
        return {
            "discovered_list": Op(READ, self.list),
            "discovered_approve": Op(ADMIN, self.approve),
            "discovered_reject": Op(OPERATE, self.reject),
            "discovered_forget": Op(ADMIN, self.forget),
            "discovered_export": Op(READ, self.export),
        }

    async def list(self, call: Call) -> dict[str, Any]:
        """What was seen and is not configured; `state` and `channel` choose."""
        oparguments.only(call, "state", "channel", "limit")
        wanted = {key: oparguments.text(call, key) for key in ("state", "channel") if key in call.args}
        limit = oparguments.whole(call, "limit", 1, MOST_LISTED) if "limit" in call.args else MOST_LISTED
        rows = [
            row for row in self._node.discovery.rows() if all(row.get(key) == value for key, value in wanted.items())
        ]
        out: dict[str, Any] = {"discovered": rows[:limit]}
        if len(rows) > limit:
            out["more"] = len(rows) - limit
        if self._node.discovery.left_out:
            out["left_out"] = self._node.discovery.left_out
        return {"out": out}

    async def approve(self, call: Call) -> dict[str, Any]:
        """Make a device of it: `id`, and `as` and `profile` where they are not to be those of its rule."""
        oparguments.only(call, "id", "as", "profile")
        which, name, profile = oparguments.text(call, "id"), _optional(call, "as"), _optional(call, "profile")
        done = await self._node.discovery.approve(which, name=name, profile=profile, who=call.caller.who)
        self._audit(call.caller, call.op, device=done["device"], text=done["id"])
        return await self._kept(done)

    async def reject(self, call: Call) -> dict[str, Any]:
        """It is not asked about any more."""
        oparguments.only(call, "id")
        row = self._node.discovery.reject(oparguments.text(call, "id"))
        self._audit(call.caller, call.op, text=row.id)
        return await self._kept({"id": row.id, "state": row.state})

    async def forget(self, call: Call) -> dict[str, Any]:
        """As if it had never been seen; a device that came in this way goes."""
        oparguments.only(call, "id")
        done = await self._node.discovery.forget(oparguments.text(call, "id"), who=call.caller.who)
        self._audit(call.caller, call.op, text=done["id"], **({"device": done["device"]} if "device" in done else {}))
        return await self._kept(done)

    async def export(self, call: Call) -> dict[str, Any]:
        """The devices that came in and no file of the configuration folder holds, with the profiles they brought."""
        oparguments.only(call)
        return {"out": asdict(self._node.discovery.brought_in())}

    def _audit(self, caller: Caller, op: str, **details: Any) -> None:
        rid = {"rid": caller.rid} if caller.rid else {}
        self._node.audit.record(caller.who, caller.via, op, **details, **rid)

    async def _kept(self, done: dict[str, Any]) -> dict[str, Any]:
        """The answer once it is on disk."""
        await self._node.store.commit()
        return {"out": done}


def _optional(call: Call, key: str) -> str:
    return oparguments.text(call, key) if call.args.get(key) is not None else ""
