"""From batches and entries to packed segments. Runs on the writer thread.

Work per reading is done by list.extend and msgpack over whole columns. A batch is looked at one by one only where it
may break the rules of an entry: more than 250 values, a repeated tag, text that could pass 16 KB, a value that
msgpack cannot hold.
"""

from __future__ import annotations

import itertools
import logging
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack

from gateway.model import Batch, Block, Quality, ValueType
from gateway.store.segments import MAX_READINGS, Packed, Stamp

MAX_ENTRY_VALUES = 250
MAX_ENTRY_BYTES = 16_000
MAX_ENTRIES_BYTES = 64_000

_TEXT = (ValueType.STRING, ValueType.BYTES, ValueType.OBJECT)
_log = logging.getLogger("fieldpost.store")


class TelemetryPacker:
    """Packs batches of one clock stamp into segments, in order."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._plain: dict[int, tuple[Block, bool]] = {}
        self._clear()

    def _clear(self) -> None:
        self._ns: list[int] = []
        self._times: list[int] = []
        self._late: list[int] = []
        self._joined: list[int] = []
        self._aliases: list[int] = []
        self._values: list[Any] = []
        self._quality: dict[int, int] = {}
        self._mono = 0

    def pack(self, batches: Sequence[Batch]) -> Iterator[tuple[Packed, int]]:
        """Segments, each with the number of batches that are wholly inside it and those before it."""
        for done, batch in enumerate(batches):
            if len(self._values) + len(batch.values) > MAX_READINGS and self._values:
                yield self._flush(), done
            if batch.index is None and len(batch.values) == len(batch.block.aliases) and self._is_plain(batch.block):
                self._take(batch, batch.block.aliases, batch.values, batch.quality)
                continue
            for part, (aliases, values, quality) in enumerate(_entries(batch)):
                if len(self._values) + len(values) > MAX_READINGS:
                    yield self._flush(), done
                if part:
                    self._joined.append(len(self._ns))
                self._take(batch, aliases, values, quality)
        if self._values:
            yield self._flush(), len(batches)

    def _is_plain(self, block: Block) -> bool:
        """Whether a whole batch of this block is always one entry. Blocks are few and shared: asked once a commit."""
        known = self._plain.get(id(block))
        if known is None:
            plain = (
                len(block.aliases) <= MAX_ENTRY_VALUES
                and len(set(block.aliases)) == len(block.aliases)
                and not any(tag.spec.type in _TEXT for tag in block.tags)
            )
            known = self._plain[id(block)] = (block, plain)
        return known[1]

    def _take(self, batch: Batch, aliases: Sequence[int], values: Sequence[Any], quality: Sequence[int] | None) -> None:
        if not values:
            return
        at = len(self._values)
        mono = int(batch.mono * 1000)
        if at == 0:
            self._mono = mono
        self._ns.append(len(values))
        self._times.append(batch.ts)
        self._late.append(mono + self._stamp.offset - batch.ts)
        self._aliases.extend(aliases)
        self._values.extend(values)
        if quality is not None:
            self._quality.update((at + i, int(code)) for i, code in enumerate(quality) if code)

    def _flush(self) -> Packed:
        times = self._times
        steps = [times[0], *(b - a for a, b in itertools.pairwise(times))]
        packed = Packed(
            stream="telemetry",
            n=len(self._values),
            t0=min(times),
            t1=max(times),
            mono=self._mono,
            stamp=self._stamp,
            borders=msgpack.packb((self._ns, steps, *self._arrival())),
            body=zlib.compress(self._body(), 1),
        )
        self._clear()
        return packed

    def _arrival(self) -> tuple[list[int], ...]:
        """What is worth keeping of how the entries came."""
        if self._joined:
            return self._late, self._joined
        return (self._late,) if any(self._late) else ()

    def _body(self) -> bytes:
        try:
            body: bytes = msgpack.packb((self._aliases, self._values, self._quality))
        except (TypeError, ValueError, OverflowError):
            for at, value in enumerate(self._values):
                if not _storable(value):
                    _log.error("a value of alias %s cannot be stored: %.60r", self._aliases[at], value)
                    self._values[at] = None
                    self._quality[at] = Quality.BAD
            body = msgpack.packb((self._aliases, self._values, self._quality))
        return body


def _storable(value: Any) -> bool:
    try:
        msgpack.packb(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return value is None or isinstance(value, bool | int | float | str | bytes)


def _entries(batch: Batch) -> Iterator[tuple[Sequence[int], Sequence[Any], Sequence[int] | None]]:
    """The batch cut into entries: at a repeated tag, at 250 values, at 16 KB (protocol.md 1.3)."""
    aliases, values, quality = batch.aliases, batch.values, batch.quality
    n = min(len(aliases), len(values))
    start = size = 0
    seen: set[int] = set()
    for i in range(n):
        alias, value = aliases[i], values[i]
        cost = 3 * len(value) + 32 if isinstance(value, str | bytes) else 32
        full = i - start >= MAX_ENTRY_VALUES or (size + cost > MAX_ENTRY_BYTES and i > start)
        if alias in seen or full:
            yield aliases[start:i], values[start:i], None if quality is None else quality[start:i]
            start, size = i, 0
            seen.clear()
        seen.add(alias)
        size += cost
    yield aliases[start:n], values[start:n], None if quality is None else quality[start:n]


def pack_entry(entry: dict[str, Any]) -> bytes:
    """One entry, frozen. Raises TypeError, ValueError or OverflowError for what cannot be stored."""
    packed: bytes = msgpack.packb(entry)
    return packed


def pack_entries(stream: str, entries: Sequence[tuple[bytes, int, int]], mono: int, stamp: Stamp) -> Iterator[Packed]:
    """Segments of an entry stream from (packed entry, n, ts), in order."""
    rows: list[tuple[int, int, bytes]] = []
    times: list[int] = []
    n = size = 0
    for packed, count, ts in entries:
        if rows and (n + count > MAX_READINGS or size + len(packed) > MAX_ENTRIES_BYTES):
            yield _pack_rows(stream, rows, n, times, mono, stamp)
            rows, times, n, size = [], [], 0, 0
        rows.append((n, count, packed))
        times.append(ts)
        n += count
        size += len(packed)
    if rows:
        yield _pack_rows(stream, rows, n, times, mono, stamp)


def _pack_rows(
    stream: str, rows: list[tuple[int, int, bytes]], n: int, times: list[int], mono: int, stamp: Stamp
) -> Packed:
    body = zlib.compress(msgpack.packb(rows), 1)
    return Packed(stream, n, min(times), max(times), mono, stamp, b"", body)
