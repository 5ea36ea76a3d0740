"""Reading back by time, for `fieldpost journal` and replay: headers first, bodies only where they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.errors import StoreDamaged
from gateway.journal import AliasRow, Segment
from gateway.model import Quality
from gateway.store.reader import Reader
from gateway.store.segments import Header
from gateway.store.state import State

Damaged = Callable[[str, int, int], None]


def segments(reader: Reader, stream: str, since_ms: int, limit: int, damaged: Damaged) -> Iterator[Segment]:
    """Whole segments with something at or after `since_ms`, oldest first, until `limit` numbers were given."""
    given = 0
    for header in reader.headers(stream):
        if given >= limit:
            return
        if header.t1 >= since_ms:
            segment = _read(reader, header, damaged)
            if segment is not None:
                given += segment.n
                yield segment


def latest_entries(
    reader: Reader, stream: str, since_ms: int, limit: int, aliases: Mapping[int, AliasRow], damaged: Damaged
) -> list[dict[str, Any]]:
    """The newest entries, oldest first. A telemetry entry is one device at one time."""
    found: list[dict[str, Any]] = []
    for header in reader.headers_back(stream):
        if len(found) >= limit:
            break
        segment = _read(reader, header, damaged) if header.t1 >= since_ms else None
        if segment is not None:
            rows = _telemetry_rows(segment, aliases) if stream == "telemetry" else segment.rows
            found.extend(row for row in reversed(rows) if row.get("ts", 0) >= since_ms)
    return found[:limit][::-1]


def gap_rows(state: State) -> list[dict[str, Any]]:
    """Gap records as the wire names their fields."""
    return [
        {"consumer": consumer, **gap.row()}
        for (consumer, _, _), records in sorted(state.gaps.items())
        for gap in records
    ]


def _read(reader: Reader, header: Header, damaged: Damaged) -> Segment | None:
    try:
        return reader.segment(header.stream, header.epoch, header.first)
    except StoreDamaged:
        damaged(header.stream, header.epoch, header.first)
        return None


def _telemetry_rows(segment: Segment, aliases: Mapping[int, AliasRow]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    at = 0
    for n, ts in zip(segment.border_n, segment.border_ts, strict=True):
        known = [aliases.get(alias) for alias in segment.aliases[at : at + n]]
        names = [row.tag if row else str(segment.aliases[at + i]) for i, row in enumerate(known)]
        row: dict[str, Any] = {"seq": segment.first + at, "ts": ts, "device": known[0].device if known[0] else ""}
        row["values"] = dict(zip(names, segment.values[at : at + n], strict=True))
        quality = {names[i]: Quality(segment.quality[at + i]).text for i in range(n) if at + i in segment.quality}
        if quality:
            row["quality"] = quality
        rows.append(row)
        at += n
    return rows
