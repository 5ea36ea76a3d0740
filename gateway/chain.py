"""Checks the chain of audit entries: which was changed, which is missing, in which place the order is not the same.

Pure: entries go in, one after the other as they were written, a verdict comes out. Works on what a gateway holds and on
what somebody received. A hole that a gap record explains is named and no fault; what was before it cannot be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gateway.audit import ROOT, entry_hash

Range = tuple[int, int]


class Hole(Struct, frozen=True):
    """Numbers of an epoch's event stream that are not there, and why: the reason of a gap record."""

    epoch: int
    first: int
    last: int
    why: str

    def view(self) -> dict[str, Any]:
        """As a gap record on the wire names its fields."""
        return {"epoch": self.epoch, "from": self.first, "to": self.last, "why": self.why}


class Fault(Struct, frozen=True):
    """The first entry that is not as it was written. `kind`: changed, missing or order."""

    epoch: int
    seq: int
    kind: str
    text: str


class Head(Struct, frozen=True):
    """Where a chain ends."""

    epoch: int
    seq: int
    hash: str


class Verdict(Struct, frozen=True):
    """What a chain is worth. `begins`: (epoch, number) where it begins later than its root, for a part of a chain."""

    ok: bool
    entries: int
    fault: Fault | None
    gaps: tuple[Hole, ...]
    heads: tuple[Head, ...]
    begins: tuple[Range, ...]

    def view(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return {
            "ok": self.ok,
            "entries": self.entries,
            "fault": None if self.fault is None else asdict(self.fault),
            "gaps": [hole.view() for hole in self.gaps],
            "heads": [asdict(head) for head in self.heads],
            "begins": [{"epoch": epoch, "seq": seq} for epoch, seq in self.begins],
        }


class Chain:
    """Takes the entries of one gateway in order.

    `gaps(epoch)`: holes that are explained. `held(epoch)`: ranges of numbers that are there, entries of other kinds
    too; with it every hole must be explained and every chain must begin at its root. Without it the entries may be
    any part of a chain.
    """

    def __init__(
        self,
        gaps: Callable[[int], Sequence[Hole]],
        held: Callable[[int], Sequence[Range]] | None = None,
    ) -> None:
        self._gaps = gaps
        self._held = held
        self._heads: dict[int, Head] = {}
        self._named: list[Hole] = []
        self._begins: list[Range] = []
        self._entries = 0
        self.fault: Fault | None = None

    def at(self, epoch: int) -> int:
        """The last number taken of an epoch, 0 for none."""
        head = self._heads.get(epoch)
        return 0 if head is None else head.seq

    def take(self, epoch: int, entry: Mapping[str, Any]) -> None:
        """The next entry. After the first fault nothing more is judged."""
        if self.fault is not None:
            return
        seq, said = entry.get("seq"), entry.get("hash")
        self._entries += 1
        if not isinstance(seq, int) or not isinstance(said, str) or _hash(entry) != said:
            at = seq if isinstance(seq, int) else 0
            self._fail(epoch, at, "changed", f"entry {at} was changed: its hash is not that of its content")
        elif self._heads and (epoch, seq) <= max((head.epoch, head.seq) for head in self._heads.values()):
            self._fail(epoch, seq, "order", f"entry {seq} stands behind a later one")
        elif self._follows(epoch, seq, entry.get("prev")):
            self._heads[epoch] = Head(epoch, seq, said)

    def _follows(self, epoch: int, seq: int, prev: object) -> bool:
        last = self._heads.get(epoch)
        if prev == (last.hash if last else ROOT) or self._explained(epoch, self.at(epoch) + 1, seq - 1):
            return True
        if last is None and self._held is None:
            self._begins.append((epoch, seq))
            return True
        where = f"between {last.seq} and {seq}" if last else f"before {seq}"
        self._fail(epoch, self.at(epoch) + 1, "missing", f"an entry {where} is missing")
        return False

    def finish(self, heads: Mapping[int, Head] | None = None) -> Verdict:
        """The verdict. `heads`: where the chains must end, for what a gateway holds itself."""
        for epoch, head in sorted((heads or {}).items()):
            self._check_end(epoch, head)
        for epoch, last in sorted(self._heads.items()):
            if heads is not None and epoch not in heads:
                self._fail(epoch, last.seq, "missing", f"the mark of the chain's end at {last.seq} is missing")
        ends = tuple(head for _, head in sorted(self._heads.items()))
        return Verdict(self.fault is None, self._entries, self.fault, tuple(self._named), ends, tuple(self._begins))

    def _check_end(self, epoch: int, head: Head) -> None:
        last = self._heads.get(epoch)
        if last == head or self.fault is not None:
            return
        at = self.at(epoch)
        if at >= head.seq:
            self._fail(epoch, at, "changed", f"entry {at} is not the one that the chain ends with")
        elif not self._explained(epoch, at + 1, head.seq):
            self._fail(epoch, at + 1, "missing", f"an entry after {at}, up to {head.seq}, is missing")

    def _fail(self, epoch: int, seq: int, kind: str, text: str) -> None:
        if self.fault is None:
            self.fault = Fault(epoch, seq, kind, f"epoch {epoch}: {text}")

    def _explained(self, epoch: int, first: int, last: int) -> bool:
        """Whether gap records name what is not there of first..last; they are remembered."""
        found = [
            Hole(epoch, max(hole.first, first), min(hole.last, last), hole.why)
            for hole in self._gaps(epoch)
            if hole.first <= last and hole.last >= first
        ]
        if not found:
            return False
        if self._held is not None:
            there = [*self._held(epoch), *((hole.first, hole.last) for hole in found)]
            if _missing(there, first, last):
                return False
        self._named.extend(found)
        return True


def _hash(entry: Mapping[str, Any]) -> str | None:
    try:
        return entry_hash(dict(entry))
    except (TypeError, ValueError):
        return None


def _missing(ranges: Sequence[Range], first: int, last: int) -> bool:
    """Whether any of first..last is in none of the ranges."""
    at = first
    for low, high in sorted(ranges):
        if low > at:
            break
        at = max(at, high + 1)
    return at <= last
