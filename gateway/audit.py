"""Audit entries of the event stream: who changed what, chained so that a changed or missing entry shows.

`hash` = first 32 hex digits of SHA-256 over the canonical JSON of the entry without `hash`; `prev` is the one before
(protocol.md 1.3). Each epoch of the store begins a chain of its own. The chain's head is a row in the transaction that
stores the entry. Every entry is a line of the log too, told at once: it outlives a store that is lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
from functools import partial
from typing import Any

from gateway.canonical import digest
from gateway.clock import Clock
from gateway.journal import Level, Producer, Tx

STREAM = "event"
TABLE = "audit"
"""Rows of heads: epoch as text -> [number, hash]."""
ROOT = "0" * 32
LOST = "audit_lost"
"""`what` of an entry that says how many before it found no place in the journal."""

MAX_TEXT = 256
_MAX_WHO = 64
_MAX_DEPTH = 4
_VALUES = ("old", "new", "value", "text")
_MAX_EXACT = 2**53 - 1
_SECRET = re.compile(r"(?i).*(password|passwd|secret|token|credential|private_?key)")

_log = logging.getLogger("fieldpost.audit")


def entry_hash(entry: dict[str, Any]) -> str:
    """The chain value of an entry as it stands on the wire, with its number; `hash` itself is left out."""
    return digest({key: value for key, value in entry.items() if key != "hash"}, 32)


class Audit:
    """Writes audit entries."""

    def __init__(self, clock: Clock, journal: Producer) -> None:
        self._clock = clock
        self._journal = journal
        self._lost = 0

    def record(self, who: str, via: str, what: str, **details: Any) -> None:
        """Add one entry; kept with the next group commit, no fsync of its own. Values that JSON cannot carry are told
        as text, long ones are cut, secrets are left out.
        """
        if self._lost:
            lost, self._lost = self._lost, 0
            self._add("gateway", "local", LOST, {"n_lost": lost}, lost)
        self._add(who, via, what, details, 1)

    def _add(self, who: str, via: str, what: str, details: dict[str, Any], stands_for: int) -> None:
        entry: dict[str, Any] = {
            "ts": self._clock.wall_ms(),
            "kind": "audit",
            "who": _text(who, _MAX_WHO),
            "via": _text(via, _MAX_WHO),
            "what": _text(what, _MAX_WHO),
            **{key: told(value) if not _SECRET.match(key) else "***" for key, value in details.items()},
        }
        _log.info("%s", _line(entry))
        kept = self._journal.submit(partial(_link, entry), Level.SOON)
        kept.add_done_callback(partial(self._ended, stands_for))

    def _ended(self, stands_for: int, done: asyncio.Future[None]) -> None:
        """Nobody waits for an entry, but none goes unnoticed: the next one is preceded by the count of those lost."""
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._lost += stands_for
            _log.error("an audit entry is not in the journal: %s", error)


def _link(entry: dict[str, Any], tx: Tx) -> None:
    """Give the entry its number and its place in the chain; may run again when the journal had no room."""
    row = tx.get(TABLE, str(tx.epoch))
    entry["seq"] = tx.number(STREAM)
    entry["prev"] = row[1] if row else ROOT
    entry["hash"] = entry_hash(entry)
    tx.append(STREAM, entry)
    tx.put(TABLE, str(tx.epoch), [entry["seq"], entry["hash"]])


def told(value: object, depth: int = 0) -> Any:
    """`value` as every JSON reader takes it, and gives it back equal: the hash must come out the same everywhere."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MAX_EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return _text(value.hex(), MAX_TEXT)
    if isinstance(value, list | tuple) and depth < _MAX_DEPTH and len(value) <= MAX_TEXT:
        return [told(item, depth + 1) for item in value]
    return _text(value if isinstance(value, str) else repr(value), MAX_TEXT)


def _text(text: str, most: int) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _line(entry: dict[str, Any]) -> str:
    """One line whatever is in it: texts are quoted, so nobody can write a line of their own into the log. The value of
    a tag that is called a password stays out of it.
    """
    hidden = _VALUES if _SECRET.match(str(entry.get("tag", ""))) else ()
    told_here = {key: "***" if key in hidden else value for key, value in entry.items() if key not in ("ts", "kind")}
    return " ".join(f"{key}={json.dumps(value)}" for key, value in told_here.items())
