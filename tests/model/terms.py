"""Words of the journal model: what a number stands for, and the store as the world around it sees it.

Two things implement Journal: the pure model (reference.py) and the real store (real.py). One machine drives both.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


class Defect(enum.Enum):
    """Planted defects of protocol.md 2.11: the invariants must catch each of them."""

    GAP_DELETED_BY_ANY_ACK = enum.auto()
    NUMBER_REUSED_AFTER_CRASH = enum.auto()
    CONSUMER_WITHOUT_DEDUP = enum.auto()
    CURSOR_MOVED_ON_0X87 = enum.auto()
    EPOCH_KEPT_AFTER_RESTORE = enum.auto()
    TIME_RECOMPUTED_ON_RESEND = enum.auto()
    ENTRY_SPLIT_ON_RESEND = enum.auto()
    NUMBERS_GIVEN_ON_FULL_DISK = enum.auto()
    DROP_WITHOUT_GAP = enum.auto()
    ALIAS_REUSED = enum.auto()


@dataclass(frozen=True)
class Entry:
    """Readings of one device at one time. `seq`: number of the first; `tags` are aliases, `values` unique ids."""

    epoch: int
    seq: int
    ts: int
    tags: tuple[int, ...]
    values: tuple[int, ...]

    @property
    def last(self) -> int:
        return self.seq + len(self.tags) - 1


@dataclass(frozen=True)
class GapRecord:
    """None for `first` and `last`: the tail of that epoch can never be proved."""

    epoch: int
    first: int | None
    last: int | None


class Journal(Protocol):
    """Telemetry of a store, with explicit time: nothing is committed unless `commit` says so."""

    def bind(self, tags: list[str]) -> list[int]:
        """Aliases of all configured tags."""
        ...

    def produce(self, ts: int, tags: list[int], values: list[int]) -> None: ...

    def commit(self) -> bool:
        """False when there was no room."""
        ...

    def fill_disk(self) -> None: ...

    def free_disk(self) -> None: ...

    def drop(self) -> None:
        """Drop the oldest segment, as the cap would."""
        ...

    def crash(self) -> None:
        """Die without a word and open again."""
        ...

    def restart(self) -> None: ...

    def copy(self) -> None:
        """Keep a copy of the closed store aside (and open again)."""
        ...

    def restore(self) -> None:
        """Die, put the copy back, open."""
        ...

    def step_clock(self, seconds: int) -> None: ...

    def add(self, name: str, start: str) -> None: ...

    def forget(self, name: str) -> None: ...

    def epoch(self) -> int: ...

    def last(self) -> int:
        """The highest committed number of the current epoch."""
        ...

    def held(self) -> set[tuple[int, int]]:
        """(epoch, number) of all stored readings."""
        ...

    def done(self, name: str) -> set[tuple[int, int]]:
        """Numbers that this consumer will not be given again."""
        ...

    def ranges(self, name: str) -> list[list[tuple[int, int]]]:
        """The done ranges of each epoch, as kept."""
        ...

    def read(self, name: str, after: tuple[int, int], limit: int) -> list[Entry]: ...

    def acknowledge(self, name: str, epoch: int, first: int, last: int) -> None: ...

    def gaps(self, name: str) -> list[GapRecord]: ...

    def gap_acknowledged(self, name: str, gap: GapRecord) -> None: ...

    def end(self) -> None: ...
