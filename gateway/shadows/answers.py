"""Answers to patches by their rid, kept with what they did: the same rid again has no second effect (H17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.journal import Tx

RIDS = "shadow_rid"
"""Small table: device/rid -> [UTC ms, answer]."""
KNOWN_RIDS = 1_000
"""Of more the oldest are forgotten: whoever repeats a patch after so many others is a new sender."""


class Answers:
    """`kept`: committed rows of the table at the start."""

    def __init__(self, kept: Mapping[str, Any]) -> None:
        rows = sorted(_readable(kept), key=lambda item: item[1][0])
        self._known: dict[str, dict[str, Any]] = {key: row[1] for key, row in rows}

    def get(self, key: str) -> dict[str, Any] | None:
        return self._known.get(key)

    def too_many(self) -> list[str]:
        """What is forgotten when one more comes, oldest first."""
        return list(self._known)[: max(0, len(self._known) - KNOWN_RIDS + 1)]

    def store(self, tx: Tx, key: str, answer: Mapping[str, Any], now: int, old: list[str]) -> None:
        """In the transaction of what was done. Changes nothing here: it may run twice, or in vain."""
        tx.put(RIDS, key, [now, dict(answer)])
        for name in old:
            tx.delete(RIDS, name)

    def stored(self, key: str, answer: Mapping[str, Any], old: list[str]) -> None:
        """It is on disk."""
        self._known[key] = dict(answer)
        for name in old:
            self._known.pop(name, None)


def _readable(kept: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    return [
        (key, row)
        for key, row in kept.items()
        if isinstance(row, list) and len(row) == 2 and isinstance(row[0], int) and isinstance(row[1], dict)
    ]
