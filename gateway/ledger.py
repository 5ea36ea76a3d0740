"""What a consumer has received, and what is missing: the bookkeeping of the proof (protocol.md 2.9).

For each (gateway, stream, epoch), received numbers and gap records together must cover 1..last of the status.
"""

from __future__ import annotations

import bisect
import zlib
from array import array
from collections.abc import Iterator
from typing import Any

from gateway.uplink.codecs.decode import (
    BatchMessage,
    decode_batch,
    decode_gap,
    decode_object,
)

_BLOCK = 4096
_MAX_PENDING = 1000
_NO_NUMBERS = frozenset(("none", "puback"))
"""Kinds of proof in a status of which a consumer cannot check anything."""

Key = tuple[str, str, int]
"""(gateway, stream, epoch)"""


class Ranges:
    """A set of integers as sorted, disjoint, not adjacent ranges, ends included."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, first: int, last: int) -> None:
        low = bisect.bisect_left(self._ends, first - 1)
        high = bisect.bisect_right(self._starts, last + 1)
        if low < high:
            first = min(first, self._starts[low])
            last = max(last, self._ends[high - 1])
        self._starts[low:high] = [first]
        self._ends[low:high] = [last]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        """How many numbers."""
        return sum(self._ends) - sum(self._starts) + len(self._starts)

    @property
    def first(self) -> int | None:
        return self._starts[0] if self._starts else None

    @property
    def last(self) -> int | None:
        return self._ends[-1] if self._ends else None

    def missing(self, first: int, last: int) -> list[list[int]]:
        """What of first..last is not in the set."""
        holes: list[list[int]] = []
        at = first
        for start, end in zip(self._starts, self._ends, strict=True):
            if end < at:
                continue
            if start > last:
                break
            if start > at:
                holes.append([at, start - 1])
            at = end + 1
        if at <= last:
            holes.append([at, last])
        return holes


class StreamLedger:
    """What came of one (gateway, stream, epoch). Four bytes per reading tell an identical duplicate from another."""

    def __init__(self) -> None:
        self.received = Ranges()
        self.gaps = Ranges()
        self.covered = Ranges()
        self.last = 0
        self.duplicates = 0
        self.conflicts: list[int] = []
        self.tail_unknown = False
        self._sums: dict[int, array[int]] = {}

    def range(self, first: int, last: int) -> None:
        self.received.add(first, last)
        self.covered.add(first, last)

    def gap(self, first: int, last: int) -> None:
        self.gaps.add(first, last)
        self.covered.add(first, last)

    def content(self, seq: int, content: Any) -> None:
        """Note what number `seq` carried; the same number with another content is a conflict."""
        block, place = divmod(seq, _BLOCK)
        sums = self._sums.get(block)
        if sums is None:
            sums = self._sums[block] = array("I", bytes(4 * _BLOCK))
        total = zlib.crc32(repr(content).encode()) or 1
        known = sums[place]
        if known:
            self.duplicates += 1
            if known != total:
                self.conflicts.append(seq)
        sums[place] = total


class Ledger:
    """Everything collected. Feed it with `take`; ask `report`."""

    def __init__(self) -> None:
        self.streams: dict[Key, StreamLedger] = {}
        self.tags: dict[str, dict[int, tuple[str, str, str]]] = {}
        self.dicts: dict[str, int] = {}
        self.statuses: dict[str, dict[str, Any]] = {}
        self.unreadable = 0
        self._parts: dict[str, dict[str, dict[int, list[list[Any]]]]] = {}
        self._pending: dict[str, list[BatchMessage]] = {}

    def take(self, topic: str, payload: bytes) -> BatchMessage | None:
        """Take one message by its topic (`fp/1/{tenant}/{gateway}/...`); returns it when it is a batch message."""
        levels = topic.split("/")
        if len(levels) < 5 or levels[:2] != ["fp", "1"]:
            return None
        gateway, kind = levels[3], levels[4]
        try:
            if kind == "status":
                self._status(gateway, payload)
            elif kind == "birth":
                self._birth(gateway, payload)
            elif kind == "up" and levels[5:] == ["gap"]:
                self._gap(payload)
            elif kind == "up":
                return self._batch(gateway, payload)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):  # valid JSON of another shape
            self.unreadable += 1
        return None

    def _status(self, gateway: str, payload: bytes) -> None:
        value = decode_object(payload)
        if value is None:
            return
        known = self.statuses.get(gateway)
        if known is not None and (value.get("epoch", 0), value.get("session", 0)) < (known["epoch"], known["session"]):
            return  # a late Will of an earlier connection
        if known is not None and "streams" not in value:
            value = {**known, **value}
        self.statuses[gateway] = value
        for stream, marks in value.get("streams", {}).items():
            ledger = self._of(gateway, stream, value["epoch"])
            ledger.last = max(ledger.last, marks["last"])

    def _birth(self, gateway: str, payload: bytes) -> None:
        value = decode_object(payload)
        if value is None:
            return
        parts = self._parts.setdefault(gateway, {})
        if "part" in value:
            parts.setdefault(value["hash"], {})[value["part"]] = value["tags"]
            return
        self._parts[gateway] = parts = {value["hash"]: parts.get(value["hash"], {})}
        rows = value["tags"] if "tags" in value else [row for part in parts[value["hash"]].values() for row in part]
        self.tags.setdefault(gateway, {}).update({row[0]: (row[1], row[2], row[3]) for row in rows})
        self.dicts[gateway] = max(self.dicts.get(gateway, -1), value["dict"])
        waiting, self._pending[gateway] = self._pending.pop(gateway, []), []
        for message in waiting:
            self._contents(gateway, message)

    def _gap(self, payload: bytes) -> None:
        gap = decode_gap(payload)
        if gap is None:
            self.unreadable += 1
            return
        ledger = self._of(gap.gateway, gap.stream, gap.epoch)
        if gap.first is None or gap.last is None:
            ledger.tail_unknown = True
        else:
            ledger.gap(gap.first, gap.last)

    def _batch(self, gateway: str, payload: bytes) -> BatchMessage | None:
        message = decode_batch(payload)
        if message is None:
            self.unreadable += 1
            return None
        self._of(message.gateway, message.stream, message.epoch).range(message.first, message.last)
        self._contents(gateway, message)
        return message

    def _contents(self, gateway: str, message: BatchMessage) -> None:
        ledger = self._of(message.gateway, message.stream, message.epoch)
        if message.stream != "telemetry":
            for entry in message.entries:
                ledger.content(entry["seq"], sorted(entry.items()))
            return
        if message.dict_no is not None and message.dict_no > self.dicts.get(gateway, -1):
            pending = self._pending.setdefault(gateway, [])
            if len(pending) < _MAX_PENDING:  # beyond, numbers are counted and contents are not compared
                pending.append(message)
            return
        for reading in message.readings(self.tags.get(gateway, {})):
            ledger.content(reading.seq, tuple(reading[1:]))

    def _of(self, gateway: str, stream: str, epoch: int) -> StreamLedger:
        return self.streams.setdefault((gateway, stream, epoch), StreamLedger())

    def report(self, *, from_first: bool = False) -> dict[str, Any]:
        """The answer of `fieldpost proof` (config.md 5), with `conflicts` and `from` added. `unproved`: gateways whose
        codec here carries no numbers, with the codec; it is left out where there is none.

        `from_first`: judge from the first number that came, for a consumer that was not there from the start.
        """
        streams = [self._row(key, ledger, from_first=from_first) for key, ledger in sorted(self.streams.items())]
        unproved = {
            gateway: str(status.get("codec"))
            for gateway, status in sorted(self.statuses.items())
            if status.get("proof") in _NO_NUMBERS
        }
        ok = bool(self.statuses) and not unproved
        ok = ok and all(not row["missing"] and not row["conflicts"] and not row["tail_unknown"] for row in streams)
        return {"ok": ok, "streams": streams} | ({"unproved": unproved} if unproved else {})

    @staticmethod
    def _row(key: Key, ledger: StreamLedger, *, from_first: bool) -> dict[str, Any]:
        first = (ledger.covered.first or ledger.last + 1) if from_first else 1
        last = max(ledger.last, ledger.covered.last or 0)
        return {
            "gateway": key[0],
            "stream": key[1],
            "epoch": key[2],
            "from": first,
            "last": last,
            "received": len(ledger.received),
            "in_gaps": len(ledger.gaps),
            "missing": ledger.covered.missing(first, last),
            "duplicates": ledger.duplicates,
            "conflicts": ledger.conflicts[:100],
            "tail_unknown": ledger.tail_unknown,
        }

    def complete(self, *, from_first: bool = False) -> bool:
        """Whether every number given out so far is accounted for."""
        return bool(self.report(from_first=from_first)["ok"])

    def acks(self) -> list[dict[str, Any]]:
        """What a consumer that has stored all this may acknowledge (2.10): up to the first hole of each stream."""
        acks = []
        for (gateway, stream, epoch), ledger in sorted(self.streams.items()):
            if ledger.covered.first == 1:
                upto = ledger.covered.missing(1, (ledger.covered.last or 0) + 1)[0][0] - 1
                acks.append({"gateway": gateway, "v": 1, "stream": stream, "epoch": epoch, "upto": upto})
        return acks
