"""The ops of discovery for local callers: those of the op table, with the user that the kernel knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.local.connection import Handler
from gateway.local.peer import signed
from gateway.runtime.discoveryops import DiscoveryOps
from gateway.runtime.node import Node
from gateway.runtime.ops import Call
from gateway.uplink.ports import LOCAL, Caller


def discovered_handlers(node: Node) -> dict[str, Handler]:
    """Handlers by name, with the scopes of the op table."""
    return {
        name: Handler(_served(name, op.scope, op.serve), op.scope, caller=True)
        for name, op in DiscoveryOps(node).table().items()
    }


def _served(
    name: str, scope: str, serve: Callable[[Call], Awaitable[dict[str, Any]]]
) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
    async def handler(args: dict[str, Any]) -> dict[str, Any]:
        given = {key: value for key, value in args.items() if key not in ("caller", "who")}
        who = signed(args.get("who"), args.get("caller"))
        answer: dict[str, Any] = (await serve(Call(name, None, given, Caller(who, LOCAL, scope))))["out"]
        return answer

    return handler
