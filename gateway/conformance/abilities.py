"""What a driver offers besides, as far as it can be asked without knowing the protocol."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from gateway.abilities import Browsing, Calling
from gateway.conformance.columns import plan
from gateway.conformance.report import NotApplicable
from gateway.conformance.scene import GRACE_S, Subject
from gateway.conformance.writing import working
from gateway.driver import Costing, Describing, PollingDriver, Scanning, Tracing
from gateway.fake_context import bind_devices

_OPTION = {"no_such_option": 1}


async def requests_as_data(subject: Subject) -> None:
    """`describe` gives what JSON knows, `cost` seconds."""
    driver = subject.create()
    if not isinstance(driver, PollingDriver) or not isinstance(driver, Describing | Costing):
        raise NotApplicable("the driver neither describes nor prices its requests")
    async with subject.context(subject.channel) as context:
        await subject.connect(driver, context)
        for request in [request for device in context.devices for request in plan(subject, driver, device)]:
            if isinstance(driver, Describing):
                _as_json(subject, f"describe({request.text})", driver.describe(request))
            if isinstance(driver, Costing):
                cost = driver.cost(request)
                fits = isinstance(cost, int | float) and math.isfinite(cost) and cost >= 0
                subject.want(fits, f"cost({request.text}) is {cost!r}, not seconds")
        await subject.call(driver.close(), GRACE_S)


async def looks_refuse_unknown_options(subject: Subject) -> None:
    """`scan` and `browse` say ValueError to an option that they do not know."""
    driver: Any = subject.create()
    names = [name for name, kind in (("scan", Scanning), ("browse", Browsing)) if isinstance(driver, kind)]
    if not names:
        raise NotApplicable("the driver neither scans nor browses")
    async with working(subject, driver):
        for name in names:
            try:
                found: Any = getattr(driver, name)(dict(_OPTION))
                outcome = await subject.call(anext(found), subject.limit_s(subject.channel))
                if isinstance(found, AsyncGenerator):
                    await subject.call(found.aclose(), GRACE_S)
            except ValueError:
                continue
            text = f"{name} with an unknown option {outcome.text}, not ValueError"
            subject.want(isinstance(outcome.error, ValueError), text)


async def methods_as_data(subject: Subject) -> None:
    driver = subject.create()
    if not isinstance(driver, Calling):
        raise NotApplicable("the driver has no methods")
    for device in bind_devices(subject.channel):
        _as_json(subject, f"methods of {device.id}", list(driver.methods(device)))


async def tracing_can_be_switched(subject: Subject) -> None:
    driver = subject.create()
    if not isinstance(driver, Tracing):
        raise NotApplicable("the driver's frames cannot be watched")
    try:
        driver.trace(lambda _frame: None)
        driver.trace(None)
        driver.trace(None)
    except Exception as error:
        subject.say(f"trace raised {type(error).__name__}: {error}")


def _as_json(subject: Subject, what: str, data: Any) -> None:
    try:
        msgspec.json.encode(data)
    except (TypeError, ValueError) as error:
        subject.say(f"{what} is not made of what JSON knows: {error}")
