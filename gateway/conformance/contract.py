"""Checks that need no peer: what the spec says, and that looking at settings is only looking."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from gateway.conformance.columns import readable
from gateway.conformance.scene import GRACE_S, Subject
from gateway.driver import CONTRACT, Fault, PollingDriver, Writer
from gateway.fake_context import bind_devices
from gateway.model import Access

_NETWORK = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"})


class _Ear:
    """Hears of network calls while `on`. An audit hook is for ever, so there is one."""

    def __init__(self) -> None:
        self.on = False
        self.heard: list[str] = []
        self._hooked = False

    def listen(self) -> None:
        if not self._hooked:
            self._hooked = True
            sys.addaudithook(self._hear)
        self.heard = []
        self.on = True

    def _hear(self, event: str, _args: tuple[Any, ...]) -> None:
        if self.on and event in _NETWORK:
            self.heard.append(event)


_ear = _Ear()


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
    """`check`, `endpoint` and `plan` look at data: no network, no fault in what is right."""
    _ear.listen()
    try:
        faults = list(subject.spec.check(subject.channel))
        endpoint = subject.spec.endpoint(subject.channel.settings)
        driver = subject.create()
        if isinstance(driver, PollingDriver):
            for device in bind_devices(subject.channel):
                list(driver.plan(device, readable(device)))
    except Exception as error:
        subject.say(f"check, endpoint or plan raised {type(error).__name__}: {error}")
        return
    finally:
        _ear.on = False
    subject.want(not _ear.heard, f"check, endpoint or plan touch the network ({', '.join(sorted(set(_ear.heard)))})")
    subject.want(all(isinstance(fault, Fault) for fault in faults), "check yields something else than Faults")
    subject.want(not faults, f"check finds faults in a channel that should be right: {faults[:3]}")
    subject.want(endpoint is None or bool(endpoint.name), "endpoint has no name")
    writable = [t.path for d in subject.channel.devices for t in d.tags if t.access is not Access.READ]
    can = isinstance(driver, Writer)
    subject.want(can or not writable, f"check lets {writable[:3]} be writable, and the driver has no write")


async def closing_twice(subject: Subject) -> None:
    driver = subject.create()
    if isinstance(driver, PollingDriver):
        for when in ("before connect", "before connect, again"):
            outcome = await subject.call(driver.close(), GRACE_S)
            subject.want(outcome.error is None and not outcome.hung, f"close {when} {outcome.text}")
    await asyncio.sleep(0)
