"""The fewest requests for a set of points, and among those the ones that read the fewest registers nobody wants.

Points of one table are sorted by place; every request takes a run of them. Dynamic programming over the borders of
runs gives the optimum exactly. Bits are taken greedily, which gives the fewest requests too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from msgspec import Struct

from drivers.modbus.address import REGISTER_BITS, Range, Table
from drivers.modbus.point import Limits, Point

MAX_REGISTERS = 125
MAX_BITS = 2000


class Run(Struct, frozen=True):
    """One request: `count` registers or bits from `start`. `members`: indices of the points it brings."""

    table: Table
    start: int
    count: int
    members: tuple[int, ...]


def plan_runs(points: Sequence[Point], limits: Limits) -> list[Run]:
    """Runs in the order coil, discrete, input, holding, then by address. Every point is in exactly one run."""
    runs: list[Run] = []
    for table in Table:
        members = [i for i, point in enumerate(points) if point.address.table is table]
        if members:
            places = _places(points, members)
            members.sort(key=lambda i: (places[i], points[i].address.offset, points[i].address.bit or 0, i))
            runs.extend(_plan_table(table, places, members, limits))
    return runs


def _places(points: Sequence[Point], members: Sequence[int]) -> dict[int, tuple[int, int]]:
    """What each point takes with it when it is read: itself, or all of its unit."""
    units: dict[str, tuple[int, int]] = {}
    for i in members:
        start, end, unit = points[i].address.offset, points[i].end, points[i].unit
        if unit:
            low, high = units.get(unit, (start, end))
            units[unit] = (min(low, start), max(high, end))
    return {i: units.get(points[i].unit) or (points[i].address.offset, points[i].end) for i in members}


def _plan_table(table: Table, of: Mapping[int, tuple[int, int]], members: list[int], limits: Limits) -> list[Run]:
    if table.is_bits:
        cap, gap = min(limits.bits, MAX_BITS), limits.gap * REGISTER_BITS
    else:
        cap, gap = min(limits.registers, MAX_REGISTERS), limits.gap
    forbidden = [banned for banned in limits.forbidden if banned.table is table]
    places = [of[i] for i in members]
    spans = sorted(set(places))  # many bits of one register are one span
    runs, last, end_member = [], len(spans), len(members)
    for first in reversed(_borders(spans, cap, gap, forbidden, greedy=table.is_bits)):
        start, end = spans[first][0], max(end for _, end in spans[first:last])
        first_member = bisect_left(places, spans[first])
        runs.append(Run(table, start, end - start, tuple(members[first_member:end_member])))
        last, end_member = first, first_member
    return runs[::-1]


def _borders(spans: list[tuple[int, int]], cap: int, gap: int, forbidden: list[Range], *, greedy: bool) -> list[int]:
    """Index of the first span of every run, for the cheapest division: fewest runs, then least to read.

    `greedy`: every run as long as it can be, which is the fewest runs too. For bits, where what is read in vain costs
    an eighth of a byte and a window has 2,000 places.
    """
    never = (len(spans) + 1, 0)
    best: list[tuple[int, int]] = [(0, 0)] + [never] * len(spans)
    origin = [0] * (len(spans) + 1)
    for first in range(len(spans)):
        if best[first] == never:
            continue
        runs, read = best[first]
        reach = _reach(spans, first, cap, gap, forbidden)
        for last, width in reach[-1:] if greedy else reach:
            cost = (runs + 1, read + width)
            if cost <= best[last]:  # of equals the one that fills the earlier requests
                best[last], origin[last] = cost, first
    borders, at = [], len(spans)
    while at > 0:
        at = origin[at]
        borders.append(at)
    return borders[::-1]


def _reach(
    spans: list[tuple[int, int]], first: int, cap: int, gap: int, forbidden: list[Range]
) -> list[tuple[int, int]]:
    """(end index, width) of the runs from span `first` on that can be part of the best division.

    Where spans touch exactly, moving the cut one span further costs nothing unless it would then fall into an overlap:
    only the last place of a touching row and the furthest place of all matter. That keeps long rows of coils linear.
    """
    start, end = spans[first]
    reach: list[tuple[int, int]] = []
    last = first + 1
    while last < len(spans):
        low, high = spans[last]
        if low != end or _overlaps_next(spans, last, end):
            reach.append((last, end - start))
        if low - end > gap or max(end, high) - start > cap:
            # Later spans begin further right: a gap stays. A cap is broken by a long span, a short one may still fit,
            # but it would leave the long one out of the run, so no longer run exists either.
            break
        if low > end and any(banned.overlaps(end, low) for banned in forbidden):
            break
        end = max(end, high)
        last += 1
    if not reach or reach[-1][0] != last:
        reach.append((last, end - start))
    return reach


def _overlaps_next(spans: list[tuple[int, int]], index: int, end: int) -> bool:
    """Whether the span after `index` begins before all up to `index` have ended."""
    return index + 1 < len(spans) and spans[index + 1][0] < max(end, spans[index][1])
