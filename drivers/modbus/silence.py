"""When a TCP connection on which nothing comes any more is worth replacing."""

from __future__ import annotations

LIMIT = 3
"""Requests in a row without any byte from the other side, until a connection is replaced before the next one.

They have to be of as many units, or of all that are asked: two dead units in a row say nothing about a connection.
"""


class Silence:
    """Requests in a row that nothing answered, on one connection."""

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._units: set[int] = set()
        self._row = 0

    def asked(self, unit: int) -> None:
        """A request to this unit is sent."""
        self._asked.add(unit)

    def over(self) -> None:
        """Something came, or the connection is a new one."""
        if self._row:
            self._row = 0
            self._units.clear()

    def longer(self, unit: int) -> None:
        """A request to this unit ended without a byte."""
        self._row += 1
        self._units.add(unit)

    @property
    def is_broken(self) -> bool:
        """Whether the other end may be gone without a word."""
        return self._row >= LIMIT and len(self._units) >= min(LIMIT, len(self._asked))
