"""Neighbouring readings merged into one entry, where a window has too many."""

from __future__ import annotations

from typing import Any

from gateway.model import Value
from rules.windows.moments import Moments
from rules.windows.reading import is_number


class Cell:
    """Readings from one moment to `until`, the time of the last of them; `holding` is what holds from then on.

    `held`: moments by milliseconds up to `until`; `samples`: moments of the plain numbers; `count`: good ones.
    """

    __slots__ = ("count", "first", "held", "high", "holding", "last", "low", "samples", "until")

    def __init__(self, at: int, value: Value) -> None:
        self.until = at
        self.holding = self.first = self.last = value
        self.count = int(value is not None)
        self.held = Moments()
        self.samples = Moments()
        self.low: float | None = None
        self.high: float | None = None
        if is_number(value):
            self.low = self.high = value
            self.samples.add(value, 1)

    def take(self, at: int, entry: Value | Cell) -> None:
        """Merge with the entry that follows, which begins at `at`."""
        if not isinstance(entry, Cell):
            entry = Cell(at, entry)
        if is_number(self.holding):
            self.held.add(self.holding, at - self.until)
        self.held.join(entry.held)
        self.samples.join(entry.samples)
        self.until, self.holding = entry.until, entry.holding
        self.count += entry.count
        self.first = entry.first if self.first is None else self.first
        self.last = self.last if entry.last is None else entry.last
        if entry.low is not None and entry.high is not None:
            self.low = entry.low if self.low is None else min(self.low, entry.low)
            self.high = entry.high if self.high is None else max(self.high, entry.high)

    def state(self) -> list[Any]:
        return [
            self.until, self.holding, self.first, self.last, self.count,
            self.held.state(), self.samples.state(), self.low, self.high,
        ]  # fmt: skip

    @classmethod
    def of(cls, state: list[Any], shift: int) -> Cell:
        """The cell of a `state()`, `shift` ms added to its time."""
        cell = cls(state[0] + shift, None)
        _, cell.holding, cell.first, cell.last, cell.count, held, samples, cell.low, cell.high = state
        cell.held, cell.samples = Moments.of(held), Moments.of(samples)
        return cell


def low_of(entry: Value | Cell) -> float | None:
    """The least number in it."""
    if type(entry) is Cell:
        return entry.low
    return entry if is_number(entry) else None


def high_of(entry: Value | Cell) -> float | None:
    """The largest number in it."""
    if type(entry) is Cell:
        return entry.high
    return entry if is_number(entry) else None


def count_of(entry: Value | Cell) -> int:
    """How many good readings are in it."""
    return entry.count if type(entry) is Cell else int(entry is not None)


def add_samples(sums: Moments, entry: Value | Cell, sign: int) -> None:
    """Add its numbers to plain sums, or take them away with sign -1."""
    if type(entry) is Cell:
        sums.join(entry.samples, sign)
    elif is_number(entry):
        sums.add(entry, sign)
