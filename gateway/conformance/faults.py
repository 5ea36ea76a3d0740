"""A driver that asks, with a faulty peer: silent, trickling, late, cut, talking rubbish, or without end.

Every call ends by itself, with values or with the contract's errors; nothing that did not come becomes a value.
"""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from gateway.conformance.columns import look_at, plan
from gateway.conformance.proxy import Fault
from gateway.conformance.report import NotApplicable
from gateway.conformance.rubbish import PATTERNS
from gateway.conformance.scene import GRACE_S, LINK_ERRORS, WIRE_ERRORS, Outcome, Subject
from gateway.driver import Columns, PollingDriver, Request
from gateway.fake_context import FakeContext
from gateway.model import Value

FLOOD_BYTES = 4 * 1024 * 1024
"""More than this in memory of what a peer sends without end is no bound."""
FLOOD_S = 0.6
_ASKED_S = 0.05
_FEW_TURNS = 3
"""Turns of the loop in a time-out that tell of a driver that waits in it; one that does not leaves it tens."""


async def _prepared(subject: Subject, driver: PollingDriver, context: FakeContext) -> list[Request]:
    """Connected to a good peer. Raises NotApplicable where that fails: another check says why."""
    await subject.heal()
    connected = await subject.connect(driver, context)
    requests = [request for device in context.devices for request in plan(subject, driver, device)] if connected else []
    if not requests:
        raise NotApplicable("the driver does not connect")
    return requests


async def _close(subject: Subject, driver: PollingDriver) -> None:
    outcome = await subject.call(driver.close(), GRACE_S)
    subject.want(outcome.error is None and not outcome.hung, f"close {outcome.text}")


def judge(subject: Subject, what: str, outcome: Outcome, *, connecting: bool = False) -> None:
    """An end by itself, with one of the contract's errors or none."""
    allowed = LINK_ERRORS if connecting else WIRE_ERRORS
    if outcome.hung:
        subject.say(f"{what} did not end by itself; the channel's timeout is the driver's to keep")
    elif outcome.error is not None and not isinstance(outcome.error, allowed):
        subject.say(f"{what} {outcome.text}, which is none of the contract's errors")


async def silence(subject: Subject) -> None:
    """A peer that took the connection and says no more; then one that never says a word."""
    subject.proxy  # noqa: B018 - not without one
    driver: PollingDriver = subject.create()
    async with subject.context(subject.hasty) as context:
        requests = await _prepared(subject, driver, context)
        await subject.fault(Fault.SILENT)
        with _waiting(subject):
            outcome = await subject.call(driver.read(requests[0]), subject.limit_s(subject.hasty))
        judge(subject, "read of a silent peer", outcome)
        await _close(subject, driver)
        outcome = await subject.call(driver.connect(context), subject.limit_s(subject.hasty))
        judge(subject, "connect to a silent peer", outcome, connecting=True)
        await _close(subject, driver)


@contextlib.contextmanager
def _waiting(subject: Subject) -> Iterator[None]:
    """A wait for a silent peer: whoever waits in the loop itself leaves it no turns."""
    loop, watch = asyncio.get_running_loop(), subject.watch
    began, turns = loop.time(), watch.turns if watch is not None else 0
    yield
    waited = loop.time() - began >= subject.hasty.timeout_s / 2
    if watch is not None and waited and watch.turns - turns <= _FEW_TURNS:
        watch.stalls["a read of a silent peer, until its timeout"] = 0


async def old_values(subject: Subject) -> None:
    """While nothing comes from the peer, nothing may be given as if it were new."""
    proxy = subject.proxy
    driver: PollingDriver = subject.create()
    async with subject.context(subject.hasty) as context:
        requests = await _prepared(subject, driver, context)
        for request in requests:
            await subject.call(driver.read(request), subject.limit_s(subject.hasty))
        await subject.fault(Fault.SILENT)
        await asyncio.sleep(0.02)
        for request in requests[:3]:
            before = proxy.down_bytes
            outcome = await subject.call(driver.read(request), subject.limit_s(subject.hasty))
            if isinstance(outcome.value, Columns) and _good(outcome.value) and proxy.down_bytes == before:
                subject.say(f"{request.text}: values, though the peer has sent nothing: old ones are given as new")
                break
        await _close(subject, driver)


def _good(columns: Columns) -> list[Value]:
    codes = columns.quality or [0] * len(columns.values)
    return [value for value, code in zip(columns.values, codes, strict=False) if code < 128]


async def trickle(subject: Subject) -> None:
    """A peer that sends a byte now and then, and never the end: a timeout is of the whole answer, not of each byte."""
    subject.tcp  # noqa: B018
    driver: PollingDriver = subject.create()
    async with subject.context(subject.hasty) as context:
        requests = await _prepared(subject, driver, context)
        await subject.fault(Fault.TRICKLE, pause_s=subject.hasty.timeout_s / 3)
        outcome = await subject.call(driver.read(requests[0]), subject.limit_s(subject.hasty))
        judge(subject, "read of a peer that trickles", outcome)
        await _close(subject, driver)


async def late(subject: Subject) -> None:
    """An answer that comes after its timeout must not be taken for the answer to the next request."""
    subject.proxy  # noqa: B018
    driver: PollingDriver = subject.create()
    async with subject.context(subject.hasty) as context:
        requests = await _prepared(subject, driver, context)
        pair = await _distinct(subject, driver, requests)
        if pair is None:
            raise NotApplicable("no two requests begin with different values that stand still")
        (first, first_values), (second, second_values) = pair
        await subject.fault(Fault.HELD)
        await subject.call(driver.read(first), subject.limit_s(subject.hasty))
        asking = asyncio.create_task(subject.call(driver.read(second), subject.limit_s(subject.hasty)))
        await asyncio.sleep(_ASKED_S)
        await subject.fault(Fault.NONE)  # both answers come now, the old one first
        outcome = await asking
        if isinstance(outcome.value, Columns):
            got = list(outcome.value.values)
            both = min(len(got), len(first_values))
            if got[:both] != second_values[:both] and got[:both] == first_values[:both]:
                subject.say("an answer that came after its timeout was taken for that of the next request")
        else:
            judge(subject, "read after a late answer", outcome)
        await _close(subject, driver)


Known = tuple[Request, list[Value]]


async def _distinct(subject: Subject, driver: PollingDriver, requests: Sequence[Request]) -> tuple[Known, Known] | None:
    """Two requests that begin with different values that do not move: of one size and the same types where there are
    such, else the longer one first, whose answer has enough for the other.
    """
    known: list[Known] = []
    for request in requests[:8]:
        values = []
        for _ in range(2):
            outcome = await subject.call(driver.read(request), subject.limit_s(subject.hasty))
            values.append(list(outcome.value.values) if isinstance(outcome.value, Columns) else None)
        if values[0] is not None and values[0] == values[1]:
            known.append((request, values[0]))
    pairs = [
        (one, other) for place, one in enumerate(known) for other in known[place + 1 :] if _differ(one[1], other[1])
    ]
    pair = min(pairs, key=_unlikeness, default=None)
    return pair if pair is None or len(pair[0][1]) >= len(pair[1][1]) else (pair[1], pair[0])


def _differ(one: list[Value], other: list[Value]) -> bool:
    both = min(len(one), len(other))
    return one[:both] != other[:both]


def _unlikeness(pair: tuple[Known, Known]) -> tuple[bool, bool]:
    one, other = pair
    return len(one[1]) != len(other[1]), _types(one) != _types(other)


def _types(known: Known) -> list[str]:
    return [tag.spec.type.value for tag in known[0].block.tags]


async def garbage(subject: Subject) -> None:
    """Rubbish instead of answers, to a read and to a connect: errors of the contract only, and no traceback."""
    subject.proxy  # noqa: B018
    for name, pattern in PATTERNS.items():
        driver: PollingDriver = subject.create()
        async with subject.context(subject.hasty) as context:
            requests = await _prepared(subject, driver, context)
            await subject.fault(Fault.GARBAGE, pattern=pattern)
            outcome = await subject.call(driver.read(requests[0]), subject.limit_s(subject.hasty))
            judge(subject, f"read with {name} as the answer", outcome)
            if isinstance(outcome.value, Columns):
                look_at(subject, f"read with {name} as the answer", requests[0].block.tags, outcome.value)
            await _close(subject, driver)
            outcome = await subject.call(driver.connect(context), subject.limit_s(subject.hasty))
            judge(subject, f"connect with {name} as the answer", outcome, connecting=True)
            await _close(subject, driver)


async def half_an_answer(subject: Subject) -> None:
    subject.proxy  # noqa: B018
    driver: PollingDriver = subject.create()
    async with subject.context(subject.hasty) as context:
        requests = await _prepared(subject, driver, context)
        await subject.fault(Fault.HALF)
        outcome = await subject.call(driver.read(requests[0]), subject.limit_s(subject.hasty))
        judge(subject, "read with half an answer", outcome)
        await _close(subject, driver)


async def cut(subject: Subject) -> None:
    """The connection goes while an answer is awaited; after close and connect the same object works again."""
    subject.tcp  # noqa: B018
    driver: PollingDriver = subject.create()
    async with subject.context(subject.channel) as context:
        requests = await _prepared(subject, driver, context)
        await subject.fault(Fault.CUT)
        for what in ("read when the connection is cut", "read on a connection that is gone"):
            outcome = await subject.call(driver.read(requests[0]), subject.limit_s(subject.channel))
            judge(subject, what, outcome)
            if isinstance(outcome.value, Columns):
                subject.say(f"{what} gave values")
        await _close(subject, driver)
        await subject.heal()
        again = await subject.connect(driver, context)
        outcome = await subject.call(driver.read(requests[0]), subject.limit_s(subject.channel))
        well = again and outcome.error is None and not outcome.hung
        subject.want(well, f"after a cut, close and connect a read {outcome.text}")
        await _close(subject, driver)


async def flood(subject: Subject) -> None:
    """A peer that sends without end: the read ends, and what it keeps in memory has a bound."""
    subject.tcp  # noqa: B018
    driver: PollingDriver = subject.create()
    channel = replace(subject.channel, timeout_s=FLOOD_S)
    async with subject.context(channel) as context:
        requests = await _prepared(subject, driver, context)
        tracemalloc.start()
        try:
            await subject.fault(Fault.FLOOD)
            outcome = await subject.call(driver.read(requests[0]), subject.limit_s(channel))
            await asyncio.sleep(FLOOD_S / 2)  # what reads ahead goes on
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        judge(subject, "read of a peer that floods", outcome)
        text = f"{most // 1024 // 1024} MB of what a peer sends without end were in memory"
        subject.want(most < FLOOD_BYTES, text)
        await _close(subject, driver)
    await subject.heal()
