"""What a sink has received, by number: finds what is missing, what came twice, and numbers with two contents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.wire import Header, Reading

Key = tuple[str, int]
"""(stream, epoch)"""


@dataclass
class Ledger:
    """All numbers of one gateway. Telemetry numbers map to readings, those of other streams to entries."""

    numbers: dict[Key, dict[int, Any]] = field(default_factory=lambda: defaultdict(dict))
    gaps: dict[Key, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    last: dict[Key, int] = field(default_factory=dict)
    duplicates: int = 0
    historical: int = 0
    conflicts: list[tuple[Key, int, Any, Any]] = field(default_factory=list)
    _reach: dict[Key, int] = field(default_factory=dict)

    def add(self, header: Header, contents: Iterable[tuple[int, Any]]) -> None:
        """Take one message; each number must have one content for ever."""
        key = (header.stream, header.epoch)
        known = self.numbers[key]
        for number, content in contents:
            before = known.setdefault(number, content)
            if before is not content:
                self.duplicates += 1
                if before != content:
                    self.conflicts.append((key, number, before, content))
            elif header.historical:
                self.historical += 1

    def add_gap(self, record: dict[str, Any]) -> None:
        self.gaps[record["stream"], record["epoch"]].append(record)

    def add_status(self, status: dict[str, Any]) -> None:
        for stream, state in status.get("streams", {}).items():
            key = (stream, status["epoch"])
            self.last[key] = max(self.last.get(key, 0), state["last"])

    def up_to(self, last: dict[Key, int]) -> Ledger:
        """The same ledger asked only for numbers up to `last`: what was given out later may still be under way."""
        return Ledger(self.numbers, self.gaps, dict(last), self.duplicates, self.historical, self.conflicts)

    def missing(self, key: Key) -> list[tuple[int, int]]:
        """Ranges of numbers up to the last known one that neither came nor are in a gap record."""
        covered = sorted(_ranges(self.numbers[key]) + self._gap_ranges(key))
        holes, reach = [], 0
        for first, last in covered:
            if first > reach + 1:
                holes.append((reach + 1, first - 1))
            reach = max(reach, last)
        if self.last.get(key, 0) > reach:
            holes.append((reach + 1, self.last[key]))
        return holes

    def all_missing(self) -> dict[Key, list[tuple[int, int]]]:
        """Holes of all streams and epochs; empty when everything is proved."""
        keys = set(self.numbers) | set(self.last) | set(self.gaps)
        return {key: holes for key in sorted(keys) if (holes := self.missing(key))}

    def in_gaps(self, stream: str = "telemetry") -> int:
        """How many numbers of a stream are covered by gap records (overlaps counted once)."""
        total = 0
        for key in self.gaps:
            if key[0] == stream:
                total += sum(last - first + 1 for first, last in _merge(self._gap_ranges(key)))
        return total

    def upto(self, key: Key) -> int:
        """Greatest number below which nothing is missing: what a consumer may acknowledge."""
        known, reach = self.numbers[key], self._reach.get(key, 0)
        while True:
            while reach + 1 in known:
                reach += 1
            bridges = [last for first, last in self._gap_ranges(key) if first <= reach + 1 <= last]
            if not bridges:
                self._reach[key] = reach
                return reach
            reach = max(bridges)

    def readings(self) -> Iterable[Reading]:
        for (stream, _epoch), known in list(self.numbers.items()):
            if stream == "telemetry":
                yield from list(known.values())

    def entries(self, stream: str) -> list[dict[str, Any]]:
        """Entries of `event`, `alarm` or `log` in the order of their numbers."""
        return [
            known[number]
            for (name, _epoch), known in sorted(self.numbers.items())
            if name == stream
            for number in sorted(known)
        ]

    def counts(self) -> dict[str, dict[int, int]]:
        """Values per device, and how many tags carried each with good quality. Counting plants only."""
        found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for reading in self.readings():
            if reading.quality == "good" and isinstance(reading.value, int | float):
                found[reading.device][int(reading.value)] += 1
        return found

    def _gap_ranges(self, key: Key) -> list[tuple[int, int]]:
        folded = [
            (number, number + entry["n"] - 1)
            for number, entry in (self.numbers[key].items() if key[0] == "alarm" else ())
            if entry.get("kind") == "chattering"
        ]
        return folded + [(gap["from"], gap["to"]) for gap in self.gaps[key] if gap.get("from") is not None]


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as ranges."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [(first, last) for first, last in found]


def _merge(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
