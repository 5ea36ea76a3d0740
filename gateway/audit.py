"""Audit entries of the event stream: who changed what, chained so that a changed or missing entry shows.

`hash` = first 32 hex digits of SHA-256 over the canonical JSON of the entry without `hash`; `prev` is the one before
(protocol.md 1.3). The chain's head is a row in the transaction that stores the entry.
"""

from __future__ import annotations

from typing import Any

from gateway.canonical import digest
from gateway.clock import Clock
from gateway.journal import Level, Producer, Tx

_TABLE = "audit"
_HEAD = "head"
_ROOT = "0" * 32


def entry_hash(entry: dict[str, Any]) -> str:
    """The chain value of an entry; `hash` itself and the number given later are left out."""
    body = {key: value for key, value in entry.items() if key not in ("hash", "seq")}
    return digest(body, 32)


class Audit:
    """Writes audit entries."""

    def __init__(self, clock: Clock, journal: Producer) -> None:
        self._clock = clock
        self._journal = journal

    def record(self, who: str, via: str, what: str, **details: Any) -> None:
        """Add one entry; kept with the next group commit, no fsync of its own."""
        entry: dict[str, Any] = {
            "ts": self._clock.wall_ms(),
            "kind": "audit",
            "who": who,
            "via": via,
            "what": what,
            **details,
        }

        def work(tx: Tx) -> None:
            entry["prev"] = tx.get(_TABLE, _HEAD) or _ROOT
            entry["hash"] = entry_hash(entry)
            tx.append("event", entry)
            tx.put(_TABLE, _HEAD, entry["hash"])

        # A failed audit write is the store's failure and ends the process there; nobody waits for this one.
        self._journal.submit(work, Level.SOON).add_done_callback(lambda done: done.cancelled() or done.exception())
