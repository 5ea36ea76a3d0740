"""The one way of every write: checked here, then the channel's arbiter, then the wire, then read back.

Rules, cloud and local users all come through `Commands.write`. All items of a call are checked before any is
written; each ends in a result of its own and in an audit entry.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.audit import Audit
from gateway.clock import Clock
from gateway.errors import WriteRejected
from gateway.model import Access, Tag, Value, ValueType, Write, WriteResult, WriteState
from gateway.shadow import LatestValues
from gateway.tags import TagTable

DEFAULT_DEADLINE_S = 10.0
MAX_ITEMS = 500

_MOST = sys.float_info.max
_FLOATS = {ValueType.FLOAT32, ValueType.FLOAT64}


class WriteTarget(Protocol):
    """A running channel that takes writes."""

    async def write(self, write: Write) -> WriteResult: ...


class ChannelFinder(Protocol):
    def target(self, device: str) -> WriteTarget | None:
        """The running channel of a device, None while it is down."""
        ...


def coerce(tag: Tag, value: object) -> Value:
    """`value` as the tag's type. Raises WriteRejected 400 (type) or 422 (range)."""
    spec = tag.spec
    if spec.labels and isinstance(value, str):
        value = _from_label(tag, value)
    if spec.type is ValueType.BOOL:
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        raise WriteRejected(f"{tag.name} is a bool; got {value!r}", code=400)
    if spec.type is ValueType.BYTES and isinstance(value, str):
        value = _from_hex(tag, value)
    if spec.type in (ValueType.STRING, ValueType.BYTES):
        if isinstance(value, str if spec.type is ValueType.STRING else bytes):
            return value
        raise WriteRejected(f"{tag.name} is a {spec.type}; got {value!r}", code=400)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST <= value <= _MOST:
        raise WriteRejected(f"{tag.name} takes a number; got {value!r}", code=400)
    return _in_limits(tag, value)


def _from_hex(tag: Tag, text: str) -> bytes:
    """Bytes as they are shown: hexadecimal."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise WriteRejected(f"{tag.name} takes bytes as hexadecimal text; got {text!r}", code=400) from None


def _from_label(tag: Tag, text: str) -> int:
    for raw, label in tag.spec.labels:
        if label == text:
            return raw
    known = ", ".join(repr(label) for _, label in tag.spec.labels)
    raise WriteRejected(f"{tag.name} has no label {text!r}; it has {known}", code=400)


def _in_limits(tag: Tag, value: float) -> int | float:
    spec = tag.spec
    scaled = spec.transform.scale is not None or spec.transform.offset is not None or spec.transform.base is not None
    if spec.type not in _FLOATS and not scaled and value != int(value):
        raise WriteRejected(f"{tag.name} takes whole numbers; got {value!r}", code=400)
    limits = [limit for limit in (spec.write.minimum, spec.range and spec.range[0]) if limit is not None]
    if limits and value < max(limits):
        raise WriteRejected(f"{tag.name}: {value!r} is below {max(limits):g}", code=422)
    limits = [limit for limit in (spec.write.maximum, spec.range and spec.range[1]) if limit is not None]
    if limits and value > min(limits):
        raise WriteRejected(f"{tag.name}: {value!r} is above {min(limits):g}", code=422)
    return value


class Commands:
    """Checks and routes writes."""

    def __init__(
        self,
        tags: TagTable,
        latest: LatestValues,
        channels: ChannelFinder,
        clock: Clock,
        audit: Audit,
        refuses: Callable[[str, str], str] = lambda _device, _via: "",
    ) -> None:
        """`refuses(device, via)` gives a reason why writes over that way are refused now, or nothing."""
        self._tags = tags
        self._latest = latest
        self._channels = channels
        self._clock = clock
        self._audit = audit
        self._refuses = refuses
        self._recent: dict[str, deque[float]] = {}

    async def write(
        self,
        values: Mapping[str, object],
        *,
        origin: str,
        via: str,
        rid: str = "",
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> list[WriteResult]:
        """Write `values` (`device.tag` -> value). When one item fails its check, nothing is written at all."""
        if len(values) > MAX_ITEMS:
            raise WriteRejected(f"{len(values)} items; at most {MAX_ITEMS} in one call", code=413)
        checked, refused = self._check(values, via)
        before = {tag.name: self._latest.value(tag) for tag, _ in checked}
        if refused:
            skipped = [
                WriteResult(tag.device, tag.path, WriteState.REJECTED, 400, text="not tried: another item was refused")
                for tag, _ in checked
            ]
            results = refused + skipped
        else:
            deadline = self._clock.mono() + deadline_s
            for tag, _ in checked:
                self._note_rate(tag)
            results = await asyncio.gather(
                *(self._one(Write(tag, value, deadline, origin, rid)) for tag, value in checked)
            )
        self._record(values, before, results, origin, via, rid)
        return results

    def _check(self, values: Mapping[str, object], via: str) -> tuple[list[tuple[Tag, Value]], list[WriteResult]]:
        checked: list[tuple[Tag, Value]] = []
        refused: list[WriteResult] = []
        for name, value in values.items():
            try:
                tag = self._writable(name, via)
                checked.append((tag, coerce(tag, value)))
            except WriteRejected as error:
                device, _, path = name.partition(".")
                refused.append(WriteResult(device, path, WriteState.REJECTED, error.code, text=str(error)))
        return checked, refused

    def _writable(self, name: str, via: str) -> Tag:
        tag = self._tags.find(name)
        if tag is None:
            raise WriteRejected(f"there is no tag {name}", code=404)
        if tag.spec.access is Access.READ:
            raise WriteRejected(f"{name} is read-only (access: r)", code=403)
        if reason := self._refuses(tag.device, via):
            raise WriteRejected(reason, code=403)
        self._check_rate(tag)
        return tag

    def _check_rate(self, tag: Tag) -> None:
        if tag.spec.write.rate is None:
            return
        count, per_s = tag.spec.write.rate
        recent = self._recent.get(tag.name)
        if recent is None or recent.maxlen != count:  # the limit is new, or was changed by a reload
            recent = self._recent[tag.name] = deque(recent or (), maxlen=count)
        if len(recent) == count and self._clock.mono() - recent[0] < per_s:
            raise WriteRejected(f"{tag.name}: more than {count} writes in {per_s:g} s", code=429)

    def _note_rate(self, tag: Tag) -> None:
        if tag.spec.write.rate is not None:
            self._recent[tag.name].append(self._clock.mono())

    async def _one(self, write: Write) -> WriteResult:
        target = self._channels.target(write.tag.device)
        if target is None:
            return WriteResult(
                write.tag.device, write.tag.path, WriteState.FAILED, 504, text="the device's channel is not running"
            )
        return await target.write(write)

    def _record(
        self,
        values: Mapping[str, object],
        before: Mapping[str, Value],
        results: list[WriteResult],
        origin: str,
        via: str,
        rid: str,
    ) -> None:
        for result in results:
            name = f"{result.device}.{result.tag}"
            details: dict[str, object] = {"device": result.device, "tag": result.tag, "code": result.code}
            if name in before:
                details["old"] = _plain(before[name])
            details["new"] = _plain(values.get(name))
            if rid:
                details["rid"] = rid
            self._audit.record(origin, via, "write", **details)


def _plain(value: object) -> object:
    """What JSON can carry of a value."""
    return value if isinstance(value, bool | int | float | str) or value is None else repr(value)
