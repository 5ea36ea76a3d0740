"""The fewest requests for a set of points, and among those the ones that read the fewest registers nobody wants.

Points of one table are sorted by place; every request takes a run of them. Dynamic programming over the borders of
runs gives the optimum exactly; a run is never longer than the cap allows, so the work is linear in practice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modbus.address import REGISTER_BITS, Range, Table
from drivers.modbus.point import Limits, Point

MAX_REGISTERS = 125
MAX_BITS = 2000


@dataclass(frozen=True, slots=True)
class Run:
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
            members.sort(key=lambda i: (points[i].address.offset, points[i].end, points[i].address.bit or 0, i))
            runs.extend(_plan_table(table, points, members, limits))
    return runs


def _plan_table(table: Table, points: Sequence[Point], members: list[int], limits: Limits) -> list[Run]:
    if table.is_bits:
        cap, gap = min(limits.bits, MAX_BITS), limits.gap * REGISTER_BITS
    else:
        cap, gap = min(limits.registers, MAX_REGISTERS), limits.gap
    forbidden = [banned for banned in limits.forbidden if banned.table is table]
    spans = [(points[i].address.offset, points[i].end) for i in members]
    runs, last = [], len(spans)
    for first in reversed(_borders(spans, cap, gap, forbidden)):
        start, end = spans[first][0], max(end for _, end in spans[first:last])
        runs.append(Run(table, start, end - start, tuple(members[first:last])))
        last = first
    return runs[::-1]


def _borders(spans: list[tuple[int, int]], cap: int, gap: int, forbidden: list[Range]) -> list[int]:
    """Index of the first span of every run, for the cheapest division: fewest runs, then least to read."""
    best: list[tuple[int, int]] = [(0, 0)] + [(len(spans) + 1, 0)] * len(spans)
    origin = [0] * (len(spans) + 1)
    for first in range(len(spans)):
        runs, read = best[first]
        for last, width in _reach(spans, first, cap, gap, forbidden):
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
    """All (end index, width) of runs that begin with span `first`. The first span alone is always one."""
    start, end = spans[first]
    reach = [(first + 1, end - start)]
    for index in range(first + 1, len(spans)):
        low, high = spans[index]
        if low - end > gap or max(end, high) - start > cap:
            # Later spans begin further right: a gap stays. A cap is broken by a long span, a short one may still fit,
            # but it would leave the long one out of the run, so no longer run exists either.
            break
        if low > end and any(banned.overlaps(end, low) for banned in forbidden):
            break
        end = max(end, high)
        reach.append((index + 1, end - start))
    return reach
