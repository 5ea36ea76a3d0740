"""What every driver must do, as checks that a driver's author can run against a real or simulated device.

`await check_driver(SPEC, channel)` returns the violations found, in words; an empty list is a pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.driver import CONTRACT, Columns, DriverSpec, Fault, PollingDriver, Request
from gateway.errors import DeviceUnavailable, LinkLost
from gateway.fake_context import FakeContext
from gateway.model import Access, ChannelSpec, Device, Quality

_PLAIN = (bool, int, float, str, bytes, type(None))
_GRACE_S = 5.0


async def check_driver(
    spec: DriverSpec, channel: ChannelSpec, *, unreachable: ChannelSpec | None = None, patience_s: float = 10.0
) -> list[str]:
    """Violations of the driver contract.

    `channel` leads to a device that answers all its tags; `unreachable` to an address where nobody does.
    `patience_s`: how long a pushing driver may take until its first values.
    """
    checks = _Checks(spec, channel, patience_s)
    checks.spec_is_complete()
    checks.settings_are_checked_without_running()
    if isinstance(checks.create(), PollingDriver):
        await checks.closing_twice()
        await checks.polling()
        if unreachable is not None:
            await checks.connect_fails(unreachable)
    await checks.run_publishes_and_ends_when_cancelled()
    return checks.violations


class _Checks:
    def __init__(self, spec: DriverSpec, channel: ChannelSpec, patience_s: float) -> None:
        self.spec = spec
        self.channel = channel
        self.patience_s = patience_s
        self.violations: list[str] = []

    def create(self) -> Any:
        return self.spec.create()

    def _want(self, condition: bool, violation: str) -> bool:
        if not condition:
            self.violations.append(violation)
        return condition

    def spec_is_complete(self) -> None:
        self._want(self.spec.contract == CONTRACT, f"written for contract {self.spec.contract}, this is {CONTRACT}")
        for level in ("channel", "device", "tag"):
            settings = getattr(self.spec, level)
            if not self._want(
                isinstance(settings, type) and issubclass(settings, msgspec.Struct),
                f"the {level} settings are not a msgspec Struct",
            ):
                continue
            config = settings.__struct_config__
            self._want(config.frozen, f"the {level} settings are not frozen")
            self._want(config.forbid_unknown_fields or not settings.__struct_fields__, f"{level}: unknown keys pass")
        self._want(self.create() is not self.create(), "create gives the same object twice")

    def settings_are_checked_without_running(self) -> None:
        try:
            faults = list(self.spec.check(self.channel))
        except Exception as error:
            self.violations.append(f"check raised {type(error).__name__}: {error}")
            return
        self._want(all(isinstance(fault, Fault) for fault in faults), "check yields something else than Faults")
        self._want(not faults, f"check finds faults in a channel that should be right: {faults[:3]}")

    async def closing_twice(self) -> None:
        driver: PollingDriver = self.create()
        await self._close(driver, "before connect")
        await self._close(driver, "before connect, again")

    async def _close(self, driver: PollingDriver, when: str) -> None:
        try:
            await driver.close()
        except Exception as error:
            self._want(False, f"close {when} raised {type(error).__name__}: {error}")

    async def polling(self) -> None:
        """Connect, plan, read, close, and again with the same object."""
        driver: PollingDriver = self.create()
        async with FakeContext(self.channel) as context:
            for attempt in ("first", "second"):
                try:
                    async with asyncio.timeout(self.channel.timeout_s * 2 + _GRACE_S):
                        await driver.connect(context)
                except Exception as error:
                    self.violations.append(f"the {attempt} connect raised {type(error).__name__}: {error}")
                    return
                requests = [request for device in context.devices for request in self._plan(driver, device)]
                for request in requests:
                    await self._read(driver, request)
                await self._close(driver, "after connect")
                await self._close(driver, "again")
            if requests:
                await self._read_after_close(driver, requests[0])

    def _plan(self, driver: PollingDriver, device: Device) -> list[Request]:
        tags = [tag for tag in device.tags if tag.spec.access is not Access.WRITE]
        requests = list(driver.plan(device, tags))
        again = list(driver.plan(device, tags))
        asked = [tag.path for request in requests for tag in request.block.tags]
        self._want([r.text for r in requests] == [r.text for r in again], f"{device.id}: two plans differ")
        self._want(
            sorted(asked) == sorted(tag.path for tag in tags), f"{device.id}: the plan does not have each tag once"
        )
        self._want(len({r.text for r in requests}) == len(requests), f"{device.id}: two requests have one text")
        self._want(all(r.block.device == device.id for r in requests), f"{device.id}: a block names another device")
        for tag in tags[:20]:
            single = [found for request in driver.plan(device, [tag]) for found in request.block.tags]
            self._want(single == [tag], f"{tag.name}: a plan for it alone brings {[t.path for t in single]}")
        return requests

    async def _read(self, driver: PollingDriver, request: Request) -> None:
        where = f"{request.block.device} {request.text}"
        try:
            async with asyncio.timeout(self.channel.timeout_s * 2 + _GRACE_S):
                columns = await driver.read(request)
        except Exception as error:
            self.violations.append(f"{where}: read raised {type(error).__name__}: {error}")
            return
        self._columns(where, request, columns)

    def _columns(self, where: str, request: Request, columns: Columns) -> None:
        count = len(columns.values)
        size = len(request.block.tags)
        if columns.index is None:
            self._want(count == size, f"{where}: {count} values for {size} tags")
        else:
            self._want(len(columns.index) == count, f"{where}: index and values differ in length")
            inside = all(0 <= place < size for place in columns.index)
            self._want(inside and len(set(columns.index)) == count, f"{where}: the index is not a set of positions")
        if columns.quality is not None:
            self._want(len(columns.quality) == count, f"{where}: quality and values differ in length")
            self._want({*columns.quality} <= {int(q) for q in Quality}, f"{where}: an unknown quality code")
        strange = {type(value).__name__ for value in columns.values if type(value) not in _PLAIN}
        self._want(not strange, f"{where}: values of type {', '.join(sorted(strange))}")

    async def _read_after_close(self, driver: PollingDriver, request: Request) -> None:
        try:
            async with asyncio.timeout(self.channel.timeout_s * 2 + _GRACE_S):
                await driver.read(request)
        except DeviceUnavailable:
            return
        except Exception as error:
            self.violations.append(f"read after close raised {type(error).__name__} instead of LinkLost")
            return
        self.violations.append("read after close gave values")

    async def connect_fails(self, unreachable: ChannelSpec) -> None:
        driver: PollingDriver = self.create()
        async with FakeContext(unreachable) as context:
            try:
                async with asyncio.timeout(unreachable.timeout_s * 2 + _GRACE_S):
                    await driver.connect(context)
                self.violations.append("connect to an address where nobody answers succeeded")
            except LinkLost:
                pass
            except Exception as error:
                self.violations.append(f"connect to nobody raised {type(error).__name__} instead of LinkLost")
            await self._close(driver, "after a failed connect")

    async def run_publishes_and_ends_when_cancelled(self) -> None:
        before = asyncio.all_tasks()
        async with FakeContext(self.channel) as context, asyncio.TaskGroup() as group:
            task = group.create_task(self.create().run(context))
            came = await _until(lambda: bool(context.batches) or task.done(), self.patience_s)
            self._want(came and bool(context.batches), f"run published nothing within {self.patience_s:g} s")
            self._want(not task.done(), "run ended by itself")
            task.cancel()
            if not await _until(task.done, _GRACE_S):
                self.violations.append(f"run did not end within {_GRACE_S:g} s after its cancellation")
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        self._want(not left, f"tasks are left running: {sorted(task.get_name() for task in left)}")


async def _until(condition: Callable[[], bool], within_s: float) -> bool:
    """Look again and again; for things that give no event."""
    end = asyncio.get_running_loop().time() + within_s
    while not condition():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(0.01)
    return True
