"""Writes: the device has the value then; what no tag can hold is refused before anything reached the wire."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.abilities import Asking
from gateway.conformance.faults import judge
from gateway.conformance.proxy import Fault
from gateway.conformance.report import NotApplicable
from gateway.conformance.scene import GRACE_S, Outcome, Subject, until
from gateway.driver import Columns, PollingDriver, Writer
from gateway.errors import WriteRejected
from gateway.fake_context import FakeContext
from gateway.model import Access, Device, Tag, Value
from gateway.transform import RAW
from gateway.writes import matches


def _writer(subject: Subject) -> Any:
    """A driver that writes. Raises NotApplicable."""
    driver: Any = subject.create()
    if not isinstance(driver, Writer):
        raise NotApplicable("the driver does not write")
    return driver


@asynccontextmanager
async def working(subject: Subject, driver: Any) -> AsyncIterator[FakeContext]:
    """A driver that is connected, or runs and has spoken."""
    async with subject.context(subject.channel) as context:
        if isinstance(driver, PollingDriver):
            if not await subject.connect(driver, context):
                raise NotApplicable("the driver does not connect")
            try:
                yield context
            finally:
                await subject.call(driver.close(), GRACE_S)
            return
        task = asyncio.ensure_future(driver.run(context))

        def spoke() -> bool:
            return bool(context.batches or task.done() or (subject.quiet and (context.states or context.linked)))

        try:
            await until(spoke, subject.patience_s)
            yield context
        finally:
            await subject.end(task, subject.limit_s(subject.channel))


def _writable(context: FakeContext) -> list[tuple[Device, Tag]]:
    return [(device, tag) for device in context.devices for tag in device.tags if tag.spec.access is not Access.READ]


async def writes_are_read_back(subject: Subject) -> None:
    if not subject.writes:
        raise NotApplicable("nothing may be written here (--write DEVICE.TAG=VALUE)")
    driver = _writer(subject)
    async with working(subject, driver) as context:
        tags = {tag.name: (device, tag) for device, tag in _writable(context)}
        for name, value in subject.writes.items():
            if name not in tags:
                subject.say(f"{name} is to be written, and is no writable tag of the channel")
                continue
            device, tag = tags[name]
            outcome = await subject.call(driver.write(device, tag, value), subject.limit_s(subject.channel))
            if subject.want(outcome.error is None and not outcome.hung, f"{name}={value!r}: write {outcome.text}"):
                await _compare(subject, driver, context, device, tag, value)


async def _compare(subject: Subject, driver: Any, context: FakeContext, device: Device, tag: Tag, value: Value) -> None:
    if tag.spec.access is Access.WRITE:
        return
    if not isinstance(driver, PollingDriver | Asking):
        await until(lambda: matches(tag.spec, value, context.latest().get(tag.name, (None, 0))[0]), 2.0)
        got = context.latest().get(tag.name, (None, 0))[0]
        if got is not None:
            subject.want(matches(tag.spec, value, got), f"{tag.name}: written {value!r}, published {got!r}")
        return
    if isinstance(driver, PollingDriver):
        requests = driver.plan(device, [tag])
        outcome = await subject.call(driver.read(requests[0]), subject.limit_s(subject.channel))
    else:
        outcome = await subject.call(driver.ask(device, [tag]), subject.limit_s(subject.channel))
    got = _value(outcome)
    text = outcome.text if outcome.error is not None or outcome.hung else f"reads {got!r}"
    subject.want(outcome.error is None and matches(tag.spec, value, got), f"{tag.name}: written {value!r}, {text}")


def _value(outcome: Outcome) -> Value:
    found = outcome.value
    columns = found if isinstance(found, Columns) else found[-1] if found else None
    return columns.values[0] if columns is not None and len(columns.values) else None


async def bad_writes_are_refused(subject: Subject) -> None:
    """A text, no number, a number that the type cannot hold: WriteRejected, and not a byte. Of tags that may be written
    only: a driver that does not refuse must not put rubbish into somebody's plant.
    """
    allowed = subject.writes
    if not allowed:
        raise NotApplicable("nothing may be written here (--write DEVICE.TAG=VALUE)")
    driver = _writer(subject)
    async with working(subject, driver) as context:
        for device, tag in [each for each in _writable(context) if each[1].name in allowed]:
            for value in _unfit(tag):
                before = subject.proxy.up_bytes if subject.has_proxy else 0
                outcome = await subject.call(driver.write(device, tag, value), subject.limit_s(subject.channel))
                await asyncio.sleep(0.02)
                _judge_refusal(subject, tag, value, outcome)
                if subject.has_proxy and subject.polling and subject.proxy.up_bytes != before:
                    subject.say(f"{tag.name}={value!r}: bytes reached the wire before the value was refused")


def _unfit(tag: Tag) -> list[Value]:
    raw = RAW[tag.spec.type]
    if raw.bits == 1:
        return ["maybe", 7]
    if raw.bits == 0:
        return []
    beyond: list[Value] = [] if raw.is_float and raw.bits == 64 else [1e300]
    return ["many", math.nan, math.inf, *beyond]


def _judge_refusal(subject: Subject, tag: Tag, value: Value, outcome: Outcome) -> None:
    what = f"write of {value!r} to {tag.name} ({tag.spec.type.value})"
    if isinstance(outcome.error, WriteRejected):
        return
    if outcome.error is None and not outcome.hung:
        subject.say(f"{what} was not refused with WriteRejected")
    elif outcome.hung:
        judge(subject, what, outcome)
    else:
        subject.say(f"{what} {outcome.text}, instead of WriteRejected")


async def write_to_a_silent_peer(subject: Subject) -> None:
    """Nobody knows the outcome, and the call ends all the same."""
    if not subject.writes:
        raise NotApplicable("nothing may be written here (--write DEVICE.TAG=VALUE)")
    subject.proxy  # noqa: B018
    driver = _writer(subject)
    async with working(subject, driver) as context:
        tags = {tag.name: (device, tag) for device, tag in _writable(context)}
        name, value = next(iter(subject.writes.items()))
        if name not in tags:
            return
        await subject.fault(Fault.SILENT)
        outcome = await subject.call(driver.write(*tags[name], value), subject.limit_s(subject.channel))
        judge(subject, "write to a silent peer", outcome)
