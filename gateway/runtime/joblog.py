"""The table `job` in the journal's environment: one row a version of a job, committed with its entries."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.jobs.row import JobRow
from gateway.journal import Level, Tx
from gateway.store import Store

TABLE = "job"
_SCHEMA = 1
_AS_JSON = ("doc", "detail", "kept")
"""JSON knows integers that msgpack does not."""

_log = logging.getLogger("fieldpost.jobs")


class JobLog:
    """gateway.jobs.row.JobTable over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = store.table(TABLE)

    def rows(self) -> list[JobRow]:
        found = (from_row(key, value) for key, value in self._table.items().items())
        return sorted((row for row in found if row is not None), key=lambda row: row.no)

    async def put(
        self, rows: Sequence[JobRow], forget: Sequence[str] = (), entries: Sequence[dict[str, Any]] = ()
    ) -> None:
        values = {row.key: to_row(row) for row in rows}
        gone, told = tuple(forget), [dict(entry) for entry in entries]

        def work(tx: Tx) -> None:
            for key in gone:
                tx.delete(TABLE, key)
            for key, value in values.items():
                tx.put(TABLE, key, value)
            for entry in told:
                tx.append("event", entry)

        await self._store.submit(work, Level.NOW)

    def told(self, key: str, uplink: str) -> None:
        def work(tx: Tx) -> None:
            row = from_row(key, tx.get(TABLE, key))
            if row is not None:
                owed = tuple(each for each in row.owed if each != uplink)
                tx.put(TABLE, key, to_row(replace(row, owed=owed)))

        # when it is not kept the end is told once more after a restart: the same bytes, harmless
        self._store.submit(work, Level.LAZY).add_done_callback(lambda done: done.cancelled() or done.exception())


def to_row(row: JobRow) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(row)
    for name in _AS_JSON:
        value[name] = msgspec.json.encode(getattr(row, name))
    return {"schema": _SCHEMA, **value}


def from_row(key: str, value: Any) -> JobRow | None:
    """A row as it was put; None for one that is missing or of a later release, which stays as it is."""
    if not isinstance(value, dict) or value.get("schema") != _SCHEMA:
        return None
    try:
        return msgspec.convert({**value, **{name: msgspec.json.decode(value[name]) for name in _AS_JSON}}, JobRow)
    except (msgspec.MsgspecError, TypeError, KeyError) as error:
        _log.error("the row of job %s cannot be used and counts as missing: %s", key, error)
        return None
