"""Requests of the Modbus driver: planned runs with their function code, size and decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from drivers.modbus.address import Address, Range, Table
from drivers.modbus.decode import decoder
from drivers.modbus.planner import Run, plan_runs
from drivers.modbus.point import Limits, Point, limits_of, point_of
from drivers.modbus.sets import units_of, with_factors
from drivers.modbus.settings import ChannelSettings
from gateway.driver import Columns, Request
from gateway.model import Block, ChannelSpec, Device, Tag

READ_CODE = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
"""Function codes, Modbus Application Protocol V1.1b3, 6.1 to 6.4."""


class Detail(Struct, frozen=True):
    """What goes to the wire for a request, and how its answer becomes columns. `size`: payload bytes expected."""

    unit: int
    table: Table
    code: int
    start: int
    count: int
    size: int
    points: tuple[Point, ...]
    limits: Limits
    decode: Callable[[bytes], Columns]


def plan_requests(
    channel: ChannelSpec,
    device: Device,
    tags: Sequence[Tag],
    refused: Sequence[Range] = (),
    gaps: Sequence[Range] = (),
    most: Mapping[str, int] = MappingProxyType({}),
) -> list[Request]:
    """The fewest requests for `tags` of one device.

    `refused`: registers that the device is known to refuse; tags on them are left out, with all of their set. `gaps`:
    registers that cannot be bridged. `most`: the largest blocks that it is known to answer, by `registers` and `bits`.
    """
    settings: ChannelSettings = channel.settings
    limits = limits_of(settings, device.spec.settings)
    limits = replace(
        limits,
        registers=min(limits.registers, most.get("registers", limits.registers)),
        bits=min(limits.bits, most.get("bits", limits.bits)),
        forbidden=(*limits.forbidden, *refused, *gaps),
    )
    tags = with_factors(device, tags)
    units = units_of([tag.spec for tag in tags])
    if refused:
        tags = _allowed(settings, device, tags, units, refused)
    points = [replace(point_of(settings, device.spec, tag.spec), unit=units.get(tag.path, "")) for tag in tags]
    unit: int = device.spec.settings.unit_id
    return [_request(device.id, unit, limits, run, tags, points) for run in plan_runs(points, limits)]


def _allowed(
    settings: ChannelSettings, device: Device, tags: Sequence[Tag], units: Mapping[str, str], refused: Sequence[Range]
) -> list[Tag]:
    """The tags that touch no refused register, nor belong to a set that does."""
    places = {tag.path: point_of(settings, device.spec, tag.spec) for tag in tags}
    bad = {
        path
        for path, point in places.items()
        for each in refused
        if each.table is point.address.table and each.overlaps(point.address.offset, point.end)
    }
    sets = {units[path] for path in bad if path in units}
    return [tag for tag in tags if tag.path not in bad and units.get(tag.path) not in sets]


def probe_request(request: Request, start: int, count: int) -> Request:
    """A read of `count` registers or bits in the table of `request` that brings no tag."""
    detail: Detail = request.detail
    size = (count + 7) // 8 if detail.table.is_bits else 2 * count
    probe = replace(detail, start=start, count=count, size=size, points=(), decode=_no_columns)
    return Request(Block(request.block.device, []), probe, f"{Address(detail.table, start).short} x {count}")


def _no_columns(_payload: bytes) -> Columns:
    return Columns(())


def _request(device: str, unit: int, limits: Limits, run: Run, tags: Sequence[Tag], points: Sequence[Point]) -> Request:
    own_tags = [tags[i] for i in run.members]
    own_points = tuple(points[i] for i in run.members)
    size = (run.count + 7) // 8 if run.table.is_bits else 2 * run.count
    detail = Detail(
        unit=unit,
        table=run.table,
        code=READ_CODE[run.table],
        start=run.start,
        count=run.count,
        size=size,
        points=own_points,
        limits=limits,
        decode=decoder(own_tags, own_points, run.start),
    )
    return Request(Block(device, own_tags), detail, f"{Address(run.table, run.start).short} x {run.count}")


def split_request(request: Request) -> list[Request]:
    """Two requests for the two halves of the tags, cut where the place changes.

    Tags of one place, and a set of tags that belong together, cannot be cut: an empty list.
    """
    detail: Detail = request.detail
    cut = _middle(detail.points)
    if cut == 0:
        return []
    halves = (range(cut), range(cut, len(detail.points)))
    return [piece for half in halves for piece in _pieces(request, half)]


def lone_requests(request: Request, most: int) -> list[Request]:
    """Requests for single places or sets out of those that `request` brings, `most` of them, from all over it.

    An empty list when it brings one only.
    """
    points = request.detail.points
    keys = [point.unit or (point.address.offset, point.end) for point in points]
    order = list(dict.fromkeys(keys))
    if len(order) < 2:
        return []
    last = len(order) - 1
    picked = dict.fromkeys(order[last - last * i // max(most - 1, 1)] for i in range(most))
    return [piece for key in picked for piece in _pieces(request, [i for i, k in enumerate(keys) if k == key])]


def _pieces(request: Request, members: Sequence[int]) -> list[Request]:
    """Requests for some of the tags that `request` brings."""
    detail: Detail = request.detail
    tags = [request.block.tags[i] for i in members]
    points = [detail.points[i] for i in members]
    runs = plan_runs(points, detail.limits)
    return [_request(request.block.device, detail.unit, detail.limits, run, tags, points) for run in runs]


def _middle(points: Sequence[Point]) -> int:
    """The border nearest to the middle where the register changes, else where the place does, else 0."""
    half = len(points) // 2
    pairs = [(i, a, b) for i, (a, b) in enumerate(pairwise(points), 1) if not (a.unit and a.unit == b.unit)]
    registers = [i for i, a, b in pairs if a.address.offset != b.address.offset]
    places = registers or [i for i, a, b in pairs if a.end != b.end]
    return min(places, key=lambda i: (abs(i - half), i), default=0)


def describe_request(request: Request) -> Mapping[str, Any]:
    detail: Detail = request.detail
    return {
        "table": detail.table.value,
        "address": detail.start,
        "count": detail.count,
        "tags": len(request.block.tags),
    }
