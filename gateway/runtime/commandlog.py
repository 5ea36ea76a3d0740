"""The table `command` in the journal's environment: one row a rid, committed before the command acts."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.journal import Level, Tx
from gateway.store import Store
from gateway.uplink.commandrow import CommandRow

TABLE = "command"
_SCHEMA = 1
_WORTH_IT = 512
"""Results longer than this are kept compressed."""

_log = logging.getLogger("fieldpost")


class CommandLog:
    """gateway.uplink.ports.CommandTable over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = store.table(TABLE)

    def rows(self) -> list[CommandRow]:
        found = (_row(rid, value) for rid, value in self._table.items().items())
        return sorted((row for row in found if row is not None), key=lambda row: (row.at, row.mono_ms))

    def get(self, rid: str) -> CommandRow | None:
        return _row(rid, self._table.get(rid))

    async def put(self, row: CommandRow, forget: Sequence[str] = ()) -> None:
        value = _value(row)
        gone = tuple(forget)

        def work(tx: Tx) -> None:
            for rid in gone:
                tx.delete(TABLE, rid)
            tx.put(TABLE, row.rid, value)

        await self._store.submit(work, Level.NOW)

    def told(self, rid: str, uplink: str) -> None:
        def work(tx: Tx) -> None:
            row = _row(rid, tx.get(TABLE, rid))
            if row is not None:
                left = tuple(reply for reply in row.replies if reply.uplink != uplink)
                tx.put(TABLE, rid, _value(replace(row, replies=left)))

        # when it is not kept the result is published once more after a restart: the same bytes, harmless
        self._store.submit(work, Level.LAZY).add_done_callback(lambda done: done.cancelled() or done.exception())


def _value(row: CommandRow) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(row, builtin_types=(bytes,))
    value["args"] = msgspec.json.encode(row.args)  # JSON knows integers that msgpack does not
    if len(row.result) > _WORTH_IT:
        value["result"], value["packed"] = zlib.compress(row.result, 6), True
    return {"schema": _SCHEMA, **value}


def _row(rid: str, value: Any) -> CommandRow | None:
    """A row as it was put; None for one that is missing or of a later release, which stays as it is."""
    if not isinstance(value, dict) or value.get("schema") != _SCHEMA:
        return None
    try:
        value = {**value, "args": msgspec.json.decode(value["args"])}
        if value.get("packed"):
            value["result"] = zlib.decompress(value["result"])
        return msgspec.convert(value, CommandRow, builtin_types=(bytes,))
    except (msgspec.MsgspecError, zlib.error, TypeError, KeyError) as error:
        _log.error("the row of command %s cannot be used and counts as missing: %s", rid, error)
        return None
