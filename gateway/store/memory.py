"""Small persisted tables: read access for everyone, and a driver's memory (gateway.driver.Memory)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.errors import StoreDamaged
from gateway.journal import Level
from gateway.store import rows
from gateway.store.reader import Reader

if TYPE_CHECKING:
    from gateway.store.attempt import Work

_log = logging.getLogger("fieldpost.store")
_GONE = object()

Submit = Callable[[Callable[["Work"], None], Level], "asyncio.Future[None]"]


class Table:
    """Committed rows of one table. Writing goes through a submitted work."""

    def __init__(self, reader: Reader, name: str) -> None:
        self._reader = reader
        self.name = name

    def get(self, key: str) -> Any:
        """The row's value, None when there is none or it is damaged."""
        raw = self._reader.row(rows.key("row", self.name, key))
        return None if raw is None else self._value(key, raw)

    def items(self, prefix: str = "") -> dict[str, Any]:
        start = rows.key("row", self.name, "")
        found = self._reader.rows(start + prefix.encode())
        return {self._key(raw, start): self._value(self._key(raw, start), one) for raw, one in found}

    @staticmethod
    def _key(raw: bytes, start: bytes) -> str:
        return raw[len(start) :].decode()

    def _value(self, key: str, raw: bytes) -> Any:
        try:
            return rows.unpack(raw)
        except StoreDamaged:
            _log.exception("row %s of table %s is unreadable and counts as missing", key, self.name)
            return None


class ChannelMemory:
    """A channel's rows, kept in memory; puts ride on the next commit."""

    def __init__(self, table: Table, channel: str, submit: Submit) -> None:
        self._table = table.name
        self._prefix = f"{channel}/"
        self._submit = submit
        self._rows = {key[len(self._prefix) :]: value for key, value in table.items(self._prefix).items()}
        self._dirty: dict[str, Any] = {}
        self._waiting = False

    def get(self, key: str) -> Any:
        return self._rows.get(key)

    def items(self) -> Mapping[str, Any]:
        return dict(self._rows)

    def put(self, key: str, value: Any) -> None:
        """Raises StoreError for a value that cannot be stored."""
        rows.key("row", self._table, self._prefix + key)
        self._rows[key] = self._dirty[key] = rows.unpack(rows.pack(value))
        self._flush()

    def delete(self, key: str) -> None:
        if key in self._rows:
            del self._rows[key]
            self._dirty[key] = _GONE
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._submit(self._write, Level.LAZY).add_done_callback(self._written)

    def _write(self, tx: Work) -> None:
        for key, value in dict(self._dirty).items():
            if value is _GONE:
                tx.delete(self._table, self._prefix + key)
            else:
                tx.put(self._table, self._prefix + key, value)
        self._sent = dict(self._dirty)

    _sent: dict[str, Any]

    def _written(self, future: asyncio.Future[None]) -> None:
        self._waiting = False
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            _log.warning("the memory of %s is not on disk: %s", self._prefix, error)
            return
        for key, value in self._sent.items():
            if self._dirty.get(key) is value:
                del self._dirty[key]
        if self._dirty:
            self._flush()


class Memories:
    """One memory a channel for the life of the store: what was put a moment ago is not on disk yet; a second object,
    for a channel that begins anew, would not know of it.
    """

    def __init__(self, table: Callable[[str], Table], submit: Submit) -> None:
        self._table = table
        self._submit = submit
        self._made: dict[str, ChannelMemory] = {}

    def get(self, channel: str) -> ChannelMemory:
        if channel not in self._made:
            self._made[channel] = ChannelMemory(self._table("memory"), channel, self._submit)
        return self._made[channel]
