"""A host that drops everything, as one behind a firewall or without power: nobody refuses, the connect just hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.conformance.columns import plan
from gateway.conformance.faults import judge
from gateway.conformance.proxy import UdpProxy
from gateway.conformance.pushing import good_values, running, told_of
from gateway.conformance.reach import black_hole, reaching
from gateway.conformance.report import NotApplicable
from gateway.conformance.scene import GRACE_S, Subject, until
from gateway.driver import PollingDriver
from gateway.model import ChannelSpec


@contextmanager
def _nowhere(subject: Subject) -> Iterator[ChannelSpec]:
    """The channel with a short timeout, led into a black hole. Raises NotApplicable."""
    with black_hole(udp=isinstance(subject.proxy, UdpProxy)) as port:
        if port is None:
            raise NotApplicable("this system takes every connection")
        yield reaching(subject.hasty, port)


async def connect_ends(subject: Subject) -> None:
    """Connect ends within its timeout; where it asks nothing (UDP), the first read does."""
    with _nowhere(subject) as channel:
        driver: PollingDriver = subject.create()
        async with subject.context(channel) as context:
            outcome = await subject.call(driver.connect(context), subject.limit_s(channel))
            judge(subject, "connect to a host that never answers", outcome, connecting=True)
            if outcome.error is None and not outcome.hung:
                for request in [each for device in context.devices for each in plan(subject, driver, device)][:1]:
                    outcome = await subject.call(driver.read(request), subject.limit_s(channel))
                    judge(subject, "read of a host that never answers", outcome)
            outcome = await subject.call(driver.close(), GRACE_S)
            subject.want(outcome.error is None and not outcome.hung, f"close {outcome.text}")


async def connect_is_told(subject: Subject) -> None:
    """A driver that is told says so, and nothing else."""
    with _nowhere(subject) as channel:
        async with running(subject, channel) as (context, task):
            came = await until(told_of(context, task), subject.told_s)
            subject.want(came, "nothing was told of a host that never answers: the connect has no timeout")
            subject.want(not good_values(context.batches), "values were published although nobody answers")
