"""The op `command`: any op of the one table, by id, as it would come over an uplink."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from gateway.local.wire import OpError
from gateway.runtime.node import Node
from gateway.uplink.commands import MAX_PAYLOAD, CommandMessage, is_rid
from gateway.uplink.ports import LOCAL, Caller


class CommandOps:
    """The op over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def scope(self, args: dict[str, Any]) -> str:
        """What the caller must have: the scope of the op it names."""
        return self._node.ops.scope(str(args.get("op")))

    async def command(self, args: dict[str, Any]) -> dict[str, Any]:
        """The final result of a command. Without a `rid` it gets one of its own."""
        rid = args.get("rid") or f"l-{uuid.uuid4().hex}"
        if not isinstance(rid, str) or not is_rid(rid):
            raise OpError("rid is up to 64 letters, digits, _ and -", code=400)
        try:
            command = msgspec.convert({**args, "v": 1, "rid": rid}, CommandMessage)
        except msgspec.ValidationError as error:
            raise OpError(f"not a command: {error}", code=400) from error
        if len(msgspec.json.encode(command)) > MAX_PAYLOAD:
            raise OpError(f"a command has at most {MAX_PAYLOAD} bytes", code=413)
        caller = Caller(command.origin[:64] or LOCAL, LOCAL, self.scope(args), rid)
        result: dict[str, Any] = msgspec.json.decode(await self._node.desk.ask(command, caller))
        return result
