"""Checks that need no peer: what the spec says, and that looking at settings is only looking."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.conformance.ear import EAR
from gateway.conformance.scene import GRACE_S, Subject
from gateway.driver import CONTRACT, Fault, PollingDriver, Writer
from gateway.model import Access


async def spec_is_complete(subject: Subject) -> None:
    spec, want = subject.spec, subject.want
    want(spec.contract == CONTRACT, f"written for contract {spec.contract}, this is {CONTRACT}")
    for level in ("channel", "device", "tag"):
        settings = getattr(spec, level)
        if not want(
            isinstance(settings, type) and issubclass(settings, msgspec.Struct),
            f"the {level} settings are not a msgspec Struct",
        ):
            continue
        config = settings.__struct_config__
        want(config.frozen, f"the {level} settings are not frozen")
        want(config.forbid_unknown_fields or not settings.__struct_fields__, f"{level}: unknown keys pass")
    first, second = subject.create(), subject.create()
    want(first is not second, "create gives the same object twice")
    want(hasattr(first, "run"), "the driver has no run")


async def settings_are_checked_without_running(subject: Subject) -> None:
    """`check` and `endpoint` look at data: no network, no fault in what is right."""
    EAR.listen()
    try:
        faults = list(subject.spec.check(subject.channel))
        endpoint = subject.spec.endpoint(subject.channel.settings)
    except Exception as error:
        subject.say(f"check or endpoint raised {subject.whence(error)}")
        return
    finally:
        EAR.on = False
    subject.want(not EAR.heard, f"check or endpoint touch the network ({', '.join(sorted(set(EAR.heard)))})")
    subject.want(all(isinstance(fault, Fault) for fault in faults), "check yields something else than Faults")
    subject.want(not faults, f"check finds faults in a channel that should be right: {faults[:3]}")
    subject.want(endpoint is None or bool(endpoint.name), "endpoint has no name")
    writable = [t.path for d in subject.channel.devices for t in d.tags if t.access is not Access.READ]
    can = isinstance(subject.create(), Writer)
    subject.want(can or not writable, f"check lets {writable[:3]} be writable, and the driver has no write")


async def closing_twice(subject: Subject) -> None:
    driver = subject.create()
    if isinstance(driver, PollingDriver):
        for when in ("before connect", "before connect, again"):
            outcome = await subject.call(driver.close(), GRACE_S)
            subject.want(outcome.error is None and not outcome.hung, f"close {when} {outcome.text}")
    await asyncio.sleep(0)
