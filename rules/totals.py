"""Totals over time: how often something became true, how long it was true, a number's integral. Pure.

A total stands still while its input is not good. Numbers are exact integers until they are shown: milliseconds for
hours; an integral adds value times milliseconds, held until the next reading.
"""

from __future__ import annotations

import math
from typing import Any

from gateway.model import Value

ROW = 1
_HOUR_MS = 3_600_000


class Total:
    """One total. `kind`: counts, hours or integral. `integral` is in the input's unit times hours."""

    __slots__ = ("_at", "_kind", "_last", "_restored", "_sum")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._sum: float = 0
        self._last: Value = None
        self._at = 0
        self._restored: int | None = None

    def see(self, value: Value, at: int) -> None:
        """The input is `value` from now on (None: not known); what it was until now is added."""
        self._add(at)
        if self._kind == "counts" and value is True and self._last is False:
            self._sum += 1
        if value is not None or self._kind != "counts":
            self._last = value
        self._at = at

    def _add(self, at: int) -> None:
        elapsed = at - self._at
        if elapsed <= 0 or self._last is None or self._kind == "counts":
            return
        if self._kind == "hours":
            self._sum += elapsed if self._last else 0
        elif isinstance(self._last, int | float) and math.isfinite(more := self._sum + self._last * elapsed):
            self._sum = more  # one mad reading does not spoil the total for ever

    def has_counted(self, at: int) -> bool:
        """Whether what came at that time is in the row that it was restored from."""
        return self._restored is not None and at <= self._restored

    @property
    def grows(self) -> bool:
        """Whether time alone changes it."""
        return self._kind != "counts" and bool(self._last)

    def value(self) -> int | float:
        """The total as it is shown."""
        return self._sum if self._kind == "counts" else self._sum / _HOUR_MS

    def reset(self, at: int) -> None:
        """Begin anew from now on."""
        self._add(at)
        self._at = at
        self._sum = 0

    def pause(self, at: int) -> None:
        """Nobody watches from `at` on."""
        self._add(at)
        self._at, self._last = at, self._last if self._kind == "counts" else None

    def row(self) -> list[Any]:
        return [ROW, self._sum, self._last, self._at]

    def restore(self, row: Any, shift: int) -> bool:
        """Take up a row; `shift` is added to its time. False: unusable."""
        try:
            version, total, last, at = row
            if version != ROW or isinstance(total, bool) or not isinstance(total, int | float):
                return False
            self._sum, self._last, self._at = total, last, int(at) + shift
            self._restored = self._at
        except (TypeError, ValueError):
            return False
        return True
