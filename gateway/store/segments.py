"""Segments as they lie on disk: a plain header, entry borders, and a compressed columnar body (protocol.md 2.2).

    header   fixed size, big-endian, CRC32 of its own; numbers are put in when the segment is stored
    borders  msgpack [[n...], [ms to the border before...], [ms that it came late...], [joined to the one before...]],
             plain, the last two left out when they say nothing; empty for entry streams
    body     zlib 1 of msgpack: telemetry [aliases, values, {position: quality}],
             other streams [[offset of the number, n, packed entry]...]

Header and borders can be read without touching the body: drops, statistics and searches by time do that.
"""

from __future__ import annotations

import bisect
import itertools
import struct
import zlib
from typing import Any

import msgpack
from msgspec import Struct

from gateway.errors import StoreDamaged
from gateway.journal import STREAMS, Segment

MAX_READINGS = 4096
FORMAT = 1
"""What this release writes; releases are measured by it before they are tried, see `gateway.ota.building`."""
READS = (1, 1)
"""The oldest and the newest format that it reads."""

_HEADER = struct.Struct(">BBcxQQIqqI8sqqIII")
_CRC = struct.Struct(">I")
HEADER_SIZE = _HEADER.size + _CRC.size
_KEY = struct.Struct(">QQ")


class Stamp(Struct, frozen=True):
    """The clock that stamped a segment. `offset`: wall minus boot clock, ms. `flag`: "s" synced, "u" not."""

    boot: str
    offset: int
    flag: str


class Packed(Struct, frozen=True):
    """A segment that has no numbers yet. `mono`: boot clock of its first reading, ms."""

    stream: str
    n: int
    t0: int
    t1: int
    mono: int
    stamp: Stamp
    borders: bytes
    body: bytes

    @property
    def size(self) -> int:
        return HEADER_SIZE + len(self.borders) + len(self.body)

    def numbered(self, epoch: int, first: int, dict_no: int) -> bytes:
        """The bytes to store, with the segment's numbers in the header."""
        header = _HEADER.pack(
            FORMAT,
            STREAMS.index(self.stream),
            self.stamp.flag.encode(),
            epoch,
            first,
            self.n,
            self.t0,
            self.t1,
            dict_no,
            self.stamp.boot.encode()[:8].ljust(8, b"0"),
            self.mono,
            self.stamp.offset,
            len(self.borders),
            len(self.body),
            zlib.crc32(self.body, zlib.crc32(self.borders)),
        )
        return b"".join((header, _CRC.pack(zlib.crc32(header)), self.borders, self.body))


class Header(Struct, frozen=True):
    """What a segment says about itself without its body."""

    stream: str
    epoch: int
    first: int
    n: int
    t0: int
    t1: int
    dict_no: int
    mono: int
    stamp: Stamp
    borders_size: int
    body_size: int
    crc: int

    @property
    def last(self) -> int:
        return self.first + self.n - 1


def segment_key(epoch: int, first: int) -> bytes:
    return _KEY.pack(epoch, first)


def split_segment_key(raw: bytes | memoryview) -> tuple[int, int]:
    """Epoch and first number."""
    epoch, first = _KEY.unpack(raw)
    return epoch, first


def read_header(raw: bytes | memoryview) -> Header:
    """The header of a stored segment. Raises StoreDamaged when its CRC does not fit."""
    if len(raw) < HEADER_SIZE or _CRC.unpack_from(raw, _HEADER.size)[0] != zlib.crc32(raw[: _HEADER.size]):
        raise StoreDamaged("a segment's header fails its check")
    fields = _HEADER.unpack_from(raw)
    version, stream, flag, epoch, first, n, t0, t1, dict_no, boot, mono, offset, borders, body, crc = fields
    if not READS[0] <= version <= READS[1] or stream >= len(STREAMS):
        raise StoreDamaged(f"a segment has the unknown format {version}")
    stamp = Stamp(boot.decode("ascii", "replace"), offset, flag.decode("ascii", "replace"))
    return Header(STREAMS[stream], epoch, first, n, t0, t1, dict_no, mono, stamp, borders, body, crc)


def read_segment(raw: bytes | memoryview) -> Segment:
    """A whole stored segment. Raises StoreDamaged when a CRC does not fit."""
    header = read_header(raw)
    borders = bytes(raw[HEADER_SIZE : HEADER_SIZE + header.borders_size])
    body = bytes(raw[HEADER_SIZE + header.borders_size :])
    if len(body) != header.body_size or zlib.crc32(body, zlib.crc32(borders)) != header.crc:
        raise StoreDamaged("a segment's body fails its check")
    segment = Segment(
        stream=header.stream,
        epoch=header.epoch,
        first=header.first,
        n=header.n,
        t0=header.t0,
        t1=header.t1,
        dict_no=header.dict_no,
        boot=header.stamp.boot,
        offset=header.stamp.offset,
        clock=header.stamp.flag,
    )
    content = msgpack.unpackb(zlib.decompress(body), strict_map_key=False)
    if header.stream == "telemetry":
        segment.border_n, steps, *arrival = msgpack.unpackb(borders)
        segment.border_ts = list(itertools.accumulate(steps))
        segment.border_late, segment.border_joined = (*arrival, [], [])[:2]
        segment.aliases, segment.values, segment.quality = content
    else:
        segment.rows = [_entry(header.first + offset, n, packed) for offset, n, packed in content]
    return segment


def _entry(seq: int, n: int, packed: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"seq": seq}
    entry.update(msgpack.unpackb(packed, strict_map_key=False))
    entry["seq"] = seq
    if n != 1:
        entry["n"] = n
    return entry


def cut(segment: Segment, first: int, last: int, limit: int) -> Segment:
    """The entries of `segment` that touch first..last, at most `limit` numbers but at least one entry.

    Cuts only between entries: a range that begins or ends inside an entry brings the whole entry (J12).
    """
    if segment.stream == "telemetry":
        return _cut_telemetry(segment, first, last, limit)
    ends = [row["seq"] + row.get("n", 1) for row in segment.rows]
    low = bisect.bisect_right(ends, first)
    high = _last_entry(ends, low, first, last + 1, limit)
    rows = segment.rows[low : high + 1]
    times = [row.get("ts", segment.t0) for row in rows]
    part = _part(segment, rows[0]["seq"], ends[high] - rows[0]["seq"], min(times), max(times))
    part.rows = rows
    return part


def _cut_telemetry(segment: Segment, first: int, last: int, limit: int) -> Segment:
    ends = list(itertools.accumulate(segment.border_n, initial=segment.first))[1:]
    low = bisect.bisect_right(ends, first)
    start = ends[low - 1] if low else segment.first
    high = _last_entry(ends, low, start, last + 1, limit)
    times = segment.border_ts[low : high + 1]
    a, b = start - segment.first, ends[high] - segment.first
    part = _part(segment, start, b - a, min(times), max(times))
    part.border_n = segment.border_n[low : high + 1]
    part.border_ts = times
    part.border_late = segment.border_late[low : high + 1]
    part.border_joined = [entry - low for entry in segment.border_joined if low <= entry <= high]
    part.aliases = segment.aliases[a:b]
    part.values = segment.values[a:b]
    part.quality = {at - a: code for at, code in segment.quality.items() if a <= at < b}
    return part


def _last_entry(ends: list[int], low: int, start: int, stop: int, limit: int) -> int:
    """Index of the last entry to take: the one that reaches `stop`, or the last within `limit` numbers."""
    wanted = bisect.bisect_left(ends, stop)
    allowed = bisect.bisect_right(ends, start + limit) - 1
    return max(low, min(wanted, allowed, len(ends) - 1))


def _part(segment: Segment, first: int, n: int, t0: int, t1: int) -> Segment:
    return Segment(
        stream=segment.stream,
        epoch=segment.epoch,
        first=first,
        n=n,
        t0=t0,
        t1=t1,
        dict_no=segment.dict_no,
        boot=segment.boot,
        offset=segment.offset,
        clock=segment.clock,
    )
