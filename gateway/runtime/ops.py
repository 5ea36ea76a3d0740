"""The op table of protocol.md 1.5 as one thing: commands over uplinks and the local socket are served by it alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.uplink.ports import CLOUD, RULE, Caller

READ, OPERATE, ADMIN = "read", "operate", "admin"
_RANK = {READ: 1, OPERATE: 2, ADMIN: 3}


class OpRefused(GatewayError):
    """An op that is not done; `code` as in protocol.md 1.3."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


class Call(Struct, frozen=True):
    """One op as it was asked for."""

    op: str
    device: str | None
    args: dict[str, Any]
    caller: Caller


Serve = Callable[[Call], Awaitable[dict[str, Any]]]


class Op(Struct, frozen=True):
    """What serves an op, and what its caller must have."""

    scope: str
    serve: Serve


def granted(caller: Caller) -> str:
    """What a caller may do. THE place where it is decided: a local caller has what its socket gave it, the cloud all
    that the table has, since access to a gateway's topics is the broker's to grant. A rule operates devices: what is
    for administrators is not for something that runs unattended.
    """
    if caller.via == RULE:
        return OPERATE
    return ADMIN if caller.via == CLOUD else caller.scope


class OpTable:
    """Implements gateway.uplink.ports.OpHandler."""

    def __init__(self, ops: Mapping[str, Op]) -> None:
        self._ops = dict(ops)

    def scope(self, op: str) -> str:
        """The scope of an op. An op that is not served needs none: everybody may hear that."""
        found = self._ops.get(op)
        return found.scope if found is not None else READ

    async def __call__(self, op: str, device: str | None, args: dict[str, Any], caller: Caller) -> dict[str, Any]:
        found = self._ops.get(op)
        if found is None:
            raise OpRefused(f"op {op!r} is not served by this version", code=404)
        if _RANK[found.scope] > _RANK.get(granted(caller), 0):
            raise OpRefused(f"op {op!r} needs the scope {found.scope}", code=403)
        return await found.serve(Call(op, device, args, caller))


def summary(items: Mapping[str, Mapping[str, Any]]) -> int:
    """The code of a result with items: theirs when they agree, 207 when only some are good."""
    codes = [int(item["code"]) for item in items.values()]
    bad = [code for code in codes if code != 200]
    if not bad:
        return 200
    return 207 if len(bad) < len(codes) else bad[0]


def all_or_nothing(items: dict[str, dict[str, Any]]) -> int:
    """The code of a result whose items were only checked so far: one that is bad makes the others not done."""
    bad = [item["code"] for item in items.values() if item["code"] != 200]
    if not bad:
        return 200
    for path, item in items.items():
        if item["code"] == 200:
            items[path] = {"code": 400, "text": "not done: another item was refused"}
    return int(bad[0])
