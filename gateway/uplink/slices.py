"""Cutting and joining segments. Borders of entries are fixed at append: nothing here ever cuts inside one."""

from __future__ import annotations

from gateway.journal import Segment


def cut(segment: Segment, limit: int) -> tuple[Segment, Segment | None]:
    """The first entries with at most `limit` numbers (at least one entry), and the rest (None when nothing is left)."""
    if segment.n <= limit:
        return segment, None
    return _cut_rows(segment, limit) if segment.rows else _cut_columns(segment, limit)


def _cut_columns(segment: Segment, limit: int) -> tuple[Segment, Segment | None]:
    entries, n = 0, 0
    for count in segment.border_n:
        if entries and n + count > limit:
            break
        entries, n = entries + 1, n + count
    if n == segment.n:
        return segment, None
    return _columns(segment, 0, entries, 0, n), _columns(segment, entries, len(segment.border_n), n, segment.n)


def _columns(segment: Segment, first_entry: int, end_entry: int, first: int, end: int) -> Segment:
    times = segment.border_ts[first_entry:end_entry]
    return Segment(
        segment.stream,
        segment.epoch,
        segment.first + first,
        end - first,
        min(times),
        max(times),
        segment.dict_no,
        segment.boot,
        segment.offset,
        segment.clock,
        segment.border_n[first_entry:end_entry],
        times,
        segment.aliases[first:end],
        segment.values[first:end],
        {i - first: code for i, code in segment.quality.items() if first <= i < end},
    )


def _cut_rows(segment: Segment, limit: int) -> tuple[Segment, Segment | None]:
    rows, n = 0, 0
    for row in segment.rows:
        count = row.get("n", 1)
        if rows and n + count > limit:
            break
        rows, n = rows + 1, n + count
    if rows == len(segment.rows):
        return segment, None
    return _rows(segment, 0, rows, 0, n), _rows(segment, rows, len(segment.rows), n, segment.n)


def _rows(segment: Segment, first_row: int, end_row: int, first: int, end: int) -> Segment:
    rows = segment.rows[first_row:end_row]
    return Segment(
        segment.stream,
        segment.epoch,
        segment.first + first,
        end - first,
        rows[0]["ts"],
        rows[-1]["ts"],
        segment.dict_no,
        segment.boot,
        segment.offset,
        segment.clock,
        rows=rows,
    )


def joinable(left: Segment, right: Segment) -> bool:
    """Whether `right` continues `left` so that one message can carry both."""
    return (
        left.stream == right.stream
        and left.epoch == right.epoch
        and left.last + 1 == right.first
        and left.clock == right.clock
        and bool(left.rows) == bool(right.rows)
    )


def join(parts: list[Segment]) -> Segment:
    """One segment of several that are joinable in order. Its dictionary is the newest of theirs."""
    if len(parts) == 1:
        return parts[0]
    head = parts[0]
    joined = Segment(
        head.stream,
        head.epoch,
        head.first,
        0,
        min(part.t0 for part in parts),
        max(part.t1 for part in parts),
        max(part.dict_no for part in parts),
        head.boot,
        head.offset,
        head.clock,
    )
    for part in parts:
        joined.border_n += part.border_n
        joined.border_ts += part.border_ts
        joined.aliases += part.aliases
        joined.values += part.values
        joined.quality.update({i + joined.n: code for i, code in part.quality.items()})
        joined.rows += part.rows
        joined.n += part.n
    return joined
