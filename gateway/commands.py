"""The one way of every write: checked here, then the channel's arbiter, then the wire, then read back.

Rules, cloud and local users all come through `Commands.write`. All items of a call are checked before any is
written; each ends in a result of its own and in an audit entry. A dry run goes through the same checks and ends there.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from gateway import objects
from gateway.audit import Audit
from gateway.changelimit import ChangeLimit, Row
from gateway.clock import Clock
from gateway.errors import WriteRejected
from gateway.latest import LatestValues
from gateway.model import Access, Tag, Value, ValueType, Write, WriteResult, WriteState
from gateway.tags import TagTable

DEFAULT_DEADLINE_S = 10.0
MAX_ITEMS = 500

_MOST = sys.float_info.max
DRY_RUN = "dry run: nothing was written"
LOOK_S = 5.0
"""A value that `max_change` needs and nobody knows is awaited so long at most."""

_NEAR = {"local", "rule", "plant"}
"""Ways that `write.allow` calls by their own name; commands, shadows and whatever else comes over are `cloud`."""
_FLOATS = {ValueType.FLOAT32, ValueType.FLOAT64}


class WriteTarget(Protocol):
    """A running channel that takes writes, and can be asked for what it holds."""

    async def write(self, write: Write) -> WriteResult: ...

    async def read(self, tags: Sequence[Tag]) -> Sequence[Row]: ...


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
    if spec.type is ValueType.OBJECT:
        return _object(tag, value)
    if spec.type in (ValueType.STRING, ValueType.BYTES):
        if isinstance(value, str if spec.type is ValueType.STRING else bytes):
            return value
        raise WriteRejected(f"{tag.name} is a {spec.type}; got {value!r}", code=400)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST <= value <= _MOST:
        raise WriteRejected(f"{tag.name} takes a number; got {value!r}", code=400)
    return _in_limits(tag, value)


def _object(tag: Tag, value: object) -> str:
    """A list or map, or the JSON text of one."""
    try:
        return objects.to_text(objects.from_text(value) if isinstance(value, str) else value)
    except ValueError as error:
        raise WriteRejected(f"{tag.name} takes a list or a map: {error}", code=400) from error


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
    if spec.transform.edgex is not None:
        from gateway.edgexmath import takes  # few need it, and each module costs memory

        if not takes(spec.transform.edgex, value):
            text = f"{tag.name} takes a number of type {spec.transform.edgex.value}; got {value!r}"
            raise WriteRejected(text, code=400)
    scaled = spec.transform.scale is not None or spec.transform.offset is not None or spec.transform.base is not None
    if spec.type not in _FLOATS and not scaled and spec.transform.edgex is None and value != int(value):
        raise WriteRejected(f"{tag.name} takes whole numbers; got {value!r}", code=400)
    limits = [limit for limit in (spec.write.minimum, spec.range and spec.range[0]) if limit is not None]
    if limits and value < max(limits):
        raise WriteRejected(f"{tag.name}: {value!r} is below {max(limits):g}", code=422)
    limits = [limit for limit in (spec.write.maximum, spec.range and spec.range[1]) if limit is not None]
    if limits and value > min(limits):
        raise WriteRejected(f"{tag.name}: {value!r} is above {min(limits):g}", code=422)
    return value


class Call(Struct, frozen=True):
    """Who writes, over which way, and for how long it makes sense (`deadline` on the boot clock)."""

    origin: str
    via: str
    rid: str
    deadline: float
    dry_run: bool


Checked = tuple[Tag, Value, Value]
"""Tag, value to write, value before."""


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
        interlock: Callable[[Tag], str] = lambda _tag: "",
    ) -> None:
        """`refuses(device, via)` gives a reason why writes over that way are refused now, or nothing.

        `interlock(tag)` gives a reason why the tag must not be written now, whoever asks, or nothing; it is short,
        never raises, and is asked again right before the write goes to its channel.
        """
        self._tags = tags
        self._latest = latest
        self._channels = channels
        self._clock = clock
        self._audit = audit
        self._refuses = refuses
        self._interlock = interlock
        self._recent: dict[str, deque[float]] = {}
        self._changes = ChangeLimit(latest, channels.target, clock)

    async def write(
        self,
        values: Mapping[str, object],
        *,
        origin: str,
        via: str,
        rid: str = "",
        deadline_s: float = DEFAULT_DEADLINE_S,
        dry_run: bool = False,
    ) -> list[WriteResult]:
        """Write `values` (`device.tag` -> value). When one item fails its check, nothing is written at all.

        `via`: local, command, shadow, rule or plant. `dry_run`: all checks, no write; a value that `max_change` needs
        and that is not known is read.
        """
        if len(values) > MAX_ITEMS:
            raise WriteRejected(f"{len(values)} items; at most {MAX_ITEMS} in one call", code=413)
        call = Call(origin, via, rid, self._clock.mono() + deadline_s, dry_run)
        began = self._changes.turn()
        checked, refused = self._check(values, via, None)
        if not refused:
            # Reading takes its time: everything is checked once more after it, and then without a pause.
            await self._changes.look([tag for tag, _, _ in checked], min(LOOK_S, deadline_s))
            checked, refused = self._check(values, via, began)
        if refused:
            return self._refuse(call, values, checked, refused)
        if not dry_run:
            self._begin(checked)
        waiting = {item[0].name: item for item in checked}
        try:
            return list(await asyncio.gather(*(self._one(call, item, waiting) for item in checked)))
        finally:
            for item in waiting.values():  # cancelled before its task had begun
                self._end(call, item, _result(item[0], WriteState.EXPIRED, 408, "given up before it was written"))

    def _refuse(
        self, call: Call, values: Mapping[str, object], checked: Sequence[Checked], refused: list[WriteResult]
    ) -> list[WriteResult]:
        """Results and audit entries of a call that writes nothing."""
        text = "not tried: another item was refused"
        results = refused + [_result(tag, WriteState.REJECTED, 400, text) for tag, _, _ in checked]
        for result in results:
            name = f"{result.device}.{result.tag}"
            tag = self._tags.find(name)
            self._record(call, result, values[name], None if tag is None else self._latest.value(tag))
        return results

    def _check(
        self, values: Mapping[str, object], via: str, since: int | None
    ) -> tuple[list[Checked], list[WriteResult]]:
        """Items that may be written, and refusals. `since` None: how far a value moves is not judged yet."""
        checked: list[Checked] = []
        refused: list[WriteResult] = []
        for name, value in values.items():
            try:
                tag = self._writable(name, via)
                wanted = coerce(tag, value)
                if since is not None:
                    self._changes.check(tag, wanted, since)
                checked.append((tag, wanted, self._latest.value(tag)))
            except WriteRejected as error:
                device, _, path = name.partition(".")
                refused.append(WriteResult(device, path, WriteState.REJECTED, error.code, text=str(error)))
        return checked, refused

    def allows(self, tag: Tag, via: str) -> None:
        """Raises WriteRejected 403 when nobody may write the tag over that way now."""
        name = tag.name
        if tag.spec.access is Access.READ:
            raise WriteRejected(f"{name} is read-only (access: r)", code=403)
        role, allowed = via if via in _NEAR else "cloud", tag.spec.write.allow
        if role not in allowed:
            raise WriteRejected(f"{name} is not written by {role}, only by {' and '.join(allowed)}", code=403)
        if reason := self._refuses(tag.device, via):
            raise WriteRejected(reason, code=403)

    def _writable(self, name: str, via: str) -> Tag:
        tag = self._tags.find(name)
        if tag is None:
            raise WriteRejected(f"there is no tag {name}", code=404)
        self.allows(tag, via)
        if reason := self._locked(tag):
            raise WriteRejected(reason, code=403)
        self._check_rate(tag)
        return tag

    def _locked(self, tag: Tag) -> str:
        """Why the tag's interlock keeps it from being written now; empty when it does not.

        No part of `allows`: a value that is only desired may wait for its device, and is judged when it is written.
        """
        reason = self._interlock(tag) if tag.spec.write.interlock else ""
        return f"{tag.name}: {reason} (interlock)" if reason else ""

    def _check_rate(self, tag: Tag) -> None:
        if tag.spec.write.rate is None:
            return
        count, per_s = tag.spec.write.rate
        recent = self._recent.get(tag.name, ())
        if len(recent) >= count and self._clock.mono() - recent[-count] < per_s:
            raise WriteRejected(f"{tag.name}: more than {count} writes in {per_s:g} s", code=429)

    def _begin(self, checked: Sequence[Checked]) -> None:
        """From here on the writes count, for the next call's checks too."""
        for tag, value, _ in checked:
            if tag.spec.write.rate is not None:
                count = tag.spec.write.rate[0]
                recent = self._recent.get(tag.name, ())
                self._recent[tag.name] = deque((*recent, self._clock.mono()), maxlen=count)
            self._changes.begin(tag, value)

    async def _one(self, call: Call, item: Checked, waiting: dict[str, Checked]) -> WriteResult:
        """One write to its end and its audit entry, also when it is cancelled on the way."""
        tag, value, _ = item
        del waiting[tag.name]
        result = _result(tag, WriteState.FAILED, 500, "cancelled, the outcome is not known")
        try:
            result = await self._perform(call, tag, value)
        except Exception as error:
            result = _result(tag, WriteState.FAILED, 500, f"{type(error).__name__}: {error}")
        finally:
            self._end(call, item, result)
        return result

    def _end(self, call: Call, item: Checked, result: WriteResult) -> None:
        tag, value, before = item
        if not call.dry_run:
            self._changes.end(tag, value, result)
        self._record(call, result, value, before)

    async def _perform(self, call: Call, tag: Tag, value: Value) -> WriteResult:
        target = self._channels.target(tag.device)
        if target is None:
            return _result(tag, WriteState.FAILED, 504, "the device's channel is not running")
        if reason := self._locked(tag):  # it may have come since the check: that was before other items, or a read
            return _result(tag, WriteState.REJECTED, 403, reason)
        if call.dry_run:
            return _result(tag, WriteState.OK, 200, DRY_RUN)
        return await target.write(Write(tag, value, call.deadline, call.origin, call.rid))

    def _record(self, call: Call, result: WriteResult, wanted: object, before: Value) -> None:
        """Who, when, what it was, what it was to be, what became of it."""
        details: dict[str, object] = {
            "device": result.device,
            "tag": result.tag,
            "old": before,
            "new": wanted,
            "state": result.state.value,
            "code": result.code,
        }
        if result.value is not None:
            details["value"] = result.value
        if result.state is not WriteState.OK:
            details["text"] = result.text
        if call.dry_run:
            details["dry_run"] = True
        if call.rid:
            details["rid"] = call.rid
        self._audit.record(call.origin, call.via, "write", **details)


def _result(tag: Tag, state: WriteState, code: int, text: str) -> WriteResult:
    return WriteResult(tag.device, tag.path, state, code, text=text)
