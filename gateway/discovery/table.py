"""The rows of what was seen, bounded; what is decided or waits for a decision is kept over a restart."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import msgspec
from msgspec.structs import asdict

from gateway.discovery.row import APPROVED, KNOWN, REJECTED, SEEN, Row
from gateway.driver import Memory
from gateway.errors import StoreError

MOST_ROWS = 500
"""Of one gateway. Beyond it one that was not seen for QUIET_MS goes, what no rule asks for first; what a rule asks for
takes the place of what none does, quiet or not; what somebody decided on stays. A crowd that is seen again and again
does not push itself out in turns: nothing more is taken in.
"""
QUIET_MS = 60_000
_LOOK_AGAIN_MS = 1_000
KEEP_MS = 600_000
"""Times and counts of a row go to the disk this often: a beacon speaks ten times a second."""

_LONGEST_KEY = 256

_log = logging.getLogger("fieldpost.discovery")


class Table:
    """Rows by id."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._rows: dict[str, Row] = {}
        self._written: dict[str, int] = {}
        self._full_at = {False: 0, True: 0}
        self.dropped = 0
        """Sightings that found no place."""
        for key, value in memory.items().items():
            try:
                row = msgspec.convert(value, Row)
            except msgspec.ValidationError:
                memory.delete(key)
                continue
            self._rows[row.id] = row
            self._written[row.id] = row.last

    def get(self, row_id: str) -> Row | None:
        return self._rows.get(row_id)

    def add(self, row: Row, *, wanted: bool) -> bool:
        """Take in a new row, in place of another if need be. `wanted`: a rule asks for it. False: there is no room."""
        if len(self._rows) >= MOST_ROWS and not self._make_room(row.last, wanted=wanted):
            self.dropped += 1
            return False
        self._rows[row.id] = row
        return True

    def _make_room(self, now: int, *, wanted: bool) -> bool:
        if 0 <= now - self._full_at[wanted] < _LOOK_AGAIN_MS:  # a crowd: a place is looked for once a second
            return False
        free = (
            one
            for one in self._rows.values()
            if one.state not in (APPROVED, REJECTED)
            and (not 0 <= now - one.last < QUIET_MS or (wanted and one.state in (SEEN, KNOWN)))
        )
        old = min(free, key=lambda one: (one.state not in (SEEN, KNOWN), one.last), default=None)
        if old is None:
            self._full_at[wanted] = now
            return False
        self.remove(old)
        return True

    def remove(self, row: Row) -> None:
        self._rows.pop(row.id, None)
        if self._written.pop(row.id, None) is not None:
            self._memory.delete(_key(row.id))

    def keep(self, row: Row) -> None:
        """What changed of a row is on disk with the next commit."""
        if not row.is_kept:
            if self._written.pop(row.id, None) is not None:
                self._memory.delete(_key(row.id))
            return
        self._written[row.id] = row.last
        try:
            self._memory.put(_key(row.id), asdict(row))
        except StoreError as error:
            _log.error("what was seen of %s is not kept: %s", row.id, error)

    def touched(self, row: Row) -> None:
        """A row was seen again: written now and then."""
        written = self._written.get(row.id)
        if written is not None and row.last - written >= KEEP_MS:
            self.keep(row)

    def find(self, words: str, names: dict[str, str]) -> list[Row]:
        """Rows that words mean: an id, else an identity or a device's id (`names`: id of a row -> that)."""
        row = self._rows.get(words)
        if row is not None:
            return [row]
        return [one for one in self._rows.values() if words in (one.identity, names.get(one.id))]

    def rows(self) -> list[Row]:
        return list(self._rows.values())


def _key(row_id: str) -> str:
    """The key of a row on disk, where a key has a few hundred bytes."""
    if len(row_id.encode("utf-8", "replace")) <= _LONGEST_KEY:
        return row_id
    return hashlib.sha256(row_id.encode("utf-8", "replace")).hexdigest()


def shown(row: Row, **more: Any) -> dict[str, Any]:
    """A row for people and programs."""
    view = {name: value for name, value in asdict(row).items() if name not in ("keys", "tags") and value != ""}
    return {"id": row.id, **view, "tags": len(row.tags), **more}
