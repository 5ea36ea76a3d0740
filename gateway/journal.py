"""What the rest of the gateway knows of the journal: its values and its two sides, the producer's and the consumer's.

The implementation is gateway/store (LMDB). Numbers: every reading or entry of a stream has a u64 sequence number,
given in the transaction that stores it; (stream, epoch, seq) is never reused and never changes (protocol.md 2).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct, field

from gateway.model import Batch

T = TypeVar("T")

STREAMS = ("alarm", "event", "telemetry", "log")
"""Most important first."""


class Level(enum.IntEnum):
    """How soon a commit happens: NOW (coalesced, at most 10 a second), SOON (commit interval), LAZY (with the next)."""

    NOW = 0
    SOON = 1
    LAZY = 2


class Segment(Struct):
    """A run of consecutive numbers of one stream, decoded: what is stored, and what a codec sends.

    telemetry: `border_n[k]` readings share time `border_ts[k]` (UTC ms), one device and no repeated tag: an entry,
    the smallest unit that is ever cut (protocol.md 1.3). `aliases` and `values` are flat columns over all entries,
    `quality` maps position to quality code where not good. `border_late[k]`: how many ms after its time the entry
    arrived (empty: each at its time), so that `border_ts[k] + border_late[k] - offset` is the boot clock at arrival, in
    ms. `border_joined`: positions of entries that arrived as one batch with the entry before them. Neither is sent.
    Other streams: `rows` are the entries as JSON-able dicts, each with `seq`, one number each unless it has `n`.
    """

    stream: str
    epoch: int
    first: int
    n: int
    t0: int
    t1: int
    dict_no: int
    boot: str
    offset: int
    clock: str
    border_n: list[int] = field(default_factory=list)
    border_ts: list[int] = field(default_factory=list)
    aliases: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    quality: dict[int, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    border_late: list[int] = field(default_factory=list)
    border_joined: list[int] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.first + self.n - 1


class Gap(Struct, frozen=True):
    """Numbers that will never be delivered to a consumer. `why`: size, age, full, disk, refused, codec, store.

    `first`, `last`, `n` may be None with `store`: the tail of that epoch can never be proved.
    """

    stream: str
    epoch: int
    first: int | None
    last: int | None
    n: int | None
    t0: int
    t1: int
    why: str

    def row(self) -> dict[str, Any]:
        """The record as the wire and people see it: `from` and `to` for its numbers."""
        return {
            "stream": self.stream,
            "epoch": self.epoch,
            "from": self.first,
            "to": self.last,
            "n": self.n,
            "t0": self.t0,
            "t1": self.t1,
            "why": self.why,
        }


class AliasRow(Struct, frozen=True):
    """A tag's persistent number. `live` is False when the tag is no longer configured."""

    alias: int
    device: str
    tag: str
    live: bool


class Backlog(Struct, frozen=True):
    """What a consumer has still to take. `oldest` is UTC ms of the oldest reading, None when nothing waits."""

    readings: int
    bytes: int
    oldest: int | None


class StreamState(Struct, frozen=True):
    """Numbers of one stream in the current epoch. `oldest` is the lowest held (next number when none is)."""

    oldest: int
    last: int
    gaps: int


class Tx(Protocol):
    """One write transaction over journal and tables, on the writer thread. All or nothing, with the group."""

    @property
    def epoch(self) -> int:
        """The store's epoch."""
        ...

    def number(self, stream: str) -> int:
        """The number that the next entry of a stream gets."""
        ...

    def append(self, stream: str, entry: dict[str, Any]) -> int:
        """Store one entry of an entry stream; returns its number and sets `entry["seq"]`."""
        ...

    def get(self, table: str, key: str) -> Any: ...

    def put(self, table: str, key: str, value: Any) -> None: ...

    def delete(self, table: str, key: str) -> None: ...


class Producer(Protocol):
    """The side that puts in. Called on the event loop."""

    def append(self, batch: Batch, on_durable: Callable[[], None] | None = None) -> None:
        """Take a batch into the telemetry buffer (level SOON). Bounded: what cannot be kept is counted, see `full`."""
        ...

    def append_entry(self, stream: str, entry: dict[str, Any], level: Level = Level.NOW) -> None:
        """Take an entry of `alarm`, `event` or `log`. `entry` has `ts` and `kind`; the store adds `seq`."""
        ...

    def submit(self, work: Callable[[Tx], T], level: Level = Level.NOW) -> asyncio.Future[T]:
        """Run `work` in the next group's transaction; the future is set after the commit. A work that raises is
        undone alone.
        """
        ...

    async def commit(self) -> None:
        """Commit everything pending now; returns when it is on disk."""
        ...


class Consumer(Protocol):
    """The side that takes out: one uplink's cursor. Called on the event loop; reads are short and copy."""

    name: str

    @property
    def epoch(self) -> int:
        """The current epoch of the store."""
        ...

    def streams(self) -> Mapping[str, StreamState]: ...

    def mark(self, stream: str) -> tuple[int, int]:
        """(epoch, seq) of the last committed number."""
        ...

    def next_segment(self, stream: str, after: tuple[int, int], limit: int = 1000) -> Segment | None:
        """The first readings above `after` that this consumer is not done with, cut at entry borders, at most
        `limit` (at least one entry), never across two stored segments or a hole; None when there is nothing.
        """
        ...

    def done(self, stream: str, epoch: int, first: int, last: int) -> None:
        """Acknowledged by the other side. Rides on the next commit."""
        ...

    def holes(self, stream: str) -> int:
        """How many separate ranges are done above the first number that is not."""
        ...

    def gaps(self) -> Sequence[Gap]:
        """Gap records not acknowledged yet, oldest first."""
        ...

    def gap_done(self, gap: Gap) -> None:
        """Exactly this record was acknowledged; one that has grown since stays."""
        ...

    def refuse(self, stream: str, epoch: int, first: int, last: int, why: str, code: int = 0) -> None:
        """Give these numbers up for this consumer: dead letter and gap record (`refused` or `codec`)."""
        ...

    def backlog(self) -> Backlog: ...

    def aliases(self) -> Mapping[int, AliasRow]:
        """All aliases that any held reading may use."""
        ...

    @property
    def dict_no(self) -> int:
        """Number of the alias dictionary; grows by one whenever aliases are added."""
        ...

    def state(self, key: str) -> Any:
        """A small persisted value of this consumer (session number, acknowledged birth hash)."""
        ...

    async def set_state(self, key: str, value: Any) -> None:
        """Returns when it is on disk."""
        ...

    def commits(self) -> int:
        """Counter of commits so far."""
        ...

    async def wait_commit(self, seen: int) -> int:
        """Wait until `commits()` is above `seen`; returns the new count."""
        ...
