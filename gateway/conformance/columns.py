"""What a driver hands over, looked at: plans, columns, batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from gateway.conformance.ear import EAR
from gateway.conformance.scene import Subject
from gateway.driver import Columns, PollingDriver, Request
from gateway.model import Access, Batch, Device, Quality, Tag
from gateway.transform import RAW, engineering_kind

_PLAIN = (bool, int, float, str, bytes, type(None))
_KNOWN = {int(quality) for quality in Quality}
_EARLIEST_MS = 946_684_800_000  # 2000
_AHEAD_MS = 366 * 86_400_000
_BAD = 128


def readable(device: Device) -> list[Tag]:
    """Tags that a plan is asked for."""
    return [tag for tag in device.tags if tag.spec.access is not Access.WRITE and tag.spec.virtual is None]


def plan(subject: Subject, driver: PollingDriver, device: Device) -> list[Request]:
    """The plan of a device; what is wrong with it is found."""
    tags = readable(device)
    want = subject.want
    EAR.listen()
    requests = list(driver.plan(device, tags))
    want(not EAR.hush(), f"{device.id}: plan touches the network")
    again = list(driver.plan(device, tags))
    asked = [tag.path for request in requests for tag in request.block.tags]
    want([r.text for r in requests] == [r.text for r in again], f"{device.id}: two plans differ")
    want(sorted(asked) == sorted(tag.path for tag in tags), f"{device.id}: the plan does not have each tag once")
    want(len({r.text for r in requests}) == len(requests), f"{device.id}: two requests have one text")
    want(all(r.block.device == device.id for r in requests), f"{device.id}: a block names another device")
    for tag in tags[:20]:
        single = [found for request in driver.plan(device, [tag]) for found in request.block.tags]
        want(single == [tag], f"{tag.name}: a plan for it alone brings {[t.path for t in single]}")
    want(not driver.plan(device, []), f"{device.id}: a plan for no tags has requests")
    return requests


def look_at(subject: Subject, where: str, tags: Sequence[Tag], columns: Any) -> None:
    """Columns against the tags of their block."""
    want = subject.want
    if not want(isinstance(columns, Columns), f"{where}: {type(columns).__name__} instead of Columns"):
        return
    count, size = len(columns.values), len(tags)
    places: Sequence[int] = range(size)
    if columns.index is None:
        want(count == size, f"{where}: {count} values for {size} tags")
    else:
        want(len(columns.index) == count, f"{where}: index and values differ in length")
        inside = all(0 <= place < size for place in columns.index)
        want(inside and len(set(columns.index)) == count, f"{where}: the index is not a set of positions")
        places = columns.index if inside else ()
    codes: Sequence[int] = [0] * count
    if columns.quality is not None:
        codes = columns.quality
        want(len(codes) == count, f"{where}: quality and values differ in length")
        want({int(code) for code in codes} <= _KNOWN, f"{where}: an unknown quality code")
    _times(subject, where, columns.ts)
    strange = {type(value).__name__ for value in columns.values if type(value) not in _PLAIN}
    want(not strange, f"{where}: values of type {', '.join(sorted(strange))}")
    for place, value, code in zip(places, columns.values, codes, strict=False):
        if place < size:
            _kind(subject, tags[place], value, code)


def look_at_batches(subject: Subject, batches: Sequence[Batch]) -> None:
    """What a driver that pushes has published."""
    for batch in batches[:2000]:
        columns = Columns(batch.values, batch.quality, batch.index, batch.ts)
        look_at(subject, f"publish of {batch.block.device}", batch.block.tags, columns)


def _times(subject: Subject, where: str, ts: Any) -> None:
    if ts is None:
        return
    now = time.time_ns() // 1_000_000
    if not subject.want(type(ts) is int, f"{where}: ts is a {type(ts).__name__}, not whole UTC milliseconds"):
        return
    text = f"{where}: ts {ts} is no UTC time in milliseconds"
    subject.want(_EARLIEST_MS <= ts <= now + _AHEAD_MS, text)


def _kind(subject: Subject, tag: Tag, value: Any, code: int) -> None:
    """A good value is of its tag's type: a float tag never has an int, whatever the device sent."""
    if code >= _BAD or value is None:
        subject.want(code >= _BAD or value is not None, f"{tag.name}: None with a good quality")
        return
    raw = RAW[tag.spec.type]
    kind = engineering_kind(raw, tag.spec.transform) if tag.spec.scale_from is None else "any"
    if kind == "float":
        fits = type(value) is float
    elif kind == "int":
        fits = type(value) is int
    elif kind == "as-is":
        fits = type(value) is (bool if raw.bits == 1 else bytes if tag.spec.type.value == "bytes" else str)
    else:
        fits = True
    subject.want(fits, f"{tag.name} ({tag.spec.type.value}): the value is a {type(value).__name__}")
