"""A driver that asks, with a good peer: connect, plan, read, close, and again; nobody there."""

from __future__ import annotations

from gateway.conformance.columns import look_at, plan
from gateway.conformance.report import NotApplicable
from gateway.conformance.scene import GRACE_S, Subject
from gateway.driver import PollingDriver, Request
from gateway.errors import DeviceUnavailable, LinkLost
from gateway.fake_context import FakeContext


async def connect_read_close_and_again(subject: Subject) -> None:
    driver: PollingDriver = subject.create()
    requests: list[Request] = []
    async with subject.context(subject.channel) as context:
        for attempt in ("first", "second"):
            outcome = await subject.call(driver.connect(context), subject.limit_s(subject.channel))
            if not subject.want(outcome.error is None and not outcome.hung, f"the {attempt} connect {outcome.text}"):
                await subject.call(driver.close(), GRACE_S)
                return
            requests = [request for device in context.devices for request in plan(subject, driver, device)]
            for request in requests:
                await _read(subject, driver, request)
            await _close(subject, driver, "after connect")
            await _close(subject, driver, "again")
        if requests:
            await _read_after_close(subject, driver, requests[0])


async def _close(subject: Subject, driver: PollingDriver, when: str) -> None:
    outcome = await subject.call(driver.close(), GRACE_S)
    subject.want(outcome.error is None and not outcome.hung, f"close {when} {outcome.text}")


async def _read(subject: Subject, driver: PollingDriver, request: Request) -> None:
    where = f"{request.block.device} {request.text}"
    outcome = await subject.call(driver.read(request), subject.limit_s(subject.channel))
    if subject.want(outcome.error is None and not outcome.hung, f"{where}: read {outcome.text}"):
        look_at(subject, where, request.block.tags, outcome.value)


async def _read_after_close(subject: Subject, driver: PollingDriver, request: Request) -> None:
    outcome = await subject.call(driver.read(request), subject.limit_s(subject.channel))
    if outcome.error is None and not outcome.hung:
        subject.say("read after close gave values")
    elif not isinstance(outcome.error, DeviceUnavailable):
        text = "did not end" if outcome.hung else f"{outcome.text} instead of LinkLost"
        subject.say(f"read after close {text}")


async def connect_to_nobody(subject: Subject) -> None:
    unreachable = subject.unreachable
    if unreachable is None:
        raise NotApplicable("no address is known where nobody answers (--unreachable)")
    driver: PollingDriver = subject.create()
    async with subject.context(unreachable) as context:
        await _refused(subject, driver, context)
        await _close(subject, driver, "after a failed connect")


async def _refused(subject: Subject, driver: PollingDriver, context: FakeContext) -> None:
    outcome = await subject.call(driver.connect(context), subject.limit_s(context.channel))
    if outcome.hung:
        subject.say("connect to nobody did not end")
    elif outcome.error is None:
        subject.say("connect to an address where nobody answers succeeded")
    elif not isinstance(outcome.error, LinkLost):
        subject.say(f"connect to nobody {outcome.text} instead of LinkLost")
