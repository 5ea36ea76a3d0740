"""Sets of numbers as sorted, disjoint, not adjacent ranges. Pure functions over tuples; nothing is changed in place.

A cursor is such a set: the numbers a consumer is done with (protocol.md 2.3, J10).
"""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[int, int]
Ranges = tuple[Range, ...]

MAX_RANGES = 63
"""Fewer than 64 ranges are ever kept."""


def add(ranges: Ranges, first: int, last: int) -> Ranges:
    """The set with first..last in it. Adjacent ranges melt together."""
    if last < first:
        return ranges
    before: list[Range] = []
    after: list[Range] = []
    for low, high in ranges:
        if high < first - 1:
            before.append((low, high))
        elif low > last + 1:
            after.append((low, high))
        else:
            first, last = min(first, low), max(last, high)
    return (*before, (first, last), *after)


def bounded(ranges: Ranges) -> Ranges:
    """The set with at most MAX_RANGES ranges: the shortest ones above the first are forgotten.

    What is forgotten is delivered again, with the same numbers: a duplicate, never a loss.
    """
    while len(ranges) > MAX_RANGES:
        shortest = min(range(1, len(ranges)), key=lambda i: ranges[i][1] - ranges[i][0])
        ranges = ranges[:shortest] + ranges[shortest + 1 :]
    return ranges


def missing(ranges: Ranges, first: int, last: int) -> list[Range]:
    """The maximal ranges inside first..last that are not in the set."""
    found: list[Range] = []
    at = first
    for low, high in ranges:
        if high < at:
            continue
        if low > last:
            break
        if low > at:
            found.append((at, low - 1))
        at = high + 1
    if at <= last:
        found.append((at, last))
    return found


def next_missing(ranges: Ranges, number: int) -> int:
    """The lowest number >= `number` that is not in the set."""
    for low, high in ranges:
        if low <= number <= high:
            return high + 1
        if low > number:
            break
    return number


def next_present(ranges: Ranges, number: int) -> int | None:
    """The lowest number >= `number` that is in the set, None when there is none."""
    for low, high in ranges:
        if high >= number:
            return max(low, number)
    return None


def intersect(left: Ranges, right: Ranges) -> Ranges:
    """What is in both sets."""
    found: list[Range] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if low <= high:
            found.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def covers(ranges: Ranges, first: int, last: int) -> bool:
    """Whether each of first..last is in the set."""
    return any(low <= first and last <= high for low, high in ranges)


def count(ranges: Iterable[Range]) -> int:
    """How many numbers the ranges hold."""
    return sum(high - low + 1 for low, high in ranges)
