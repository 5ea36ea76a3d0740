"""The driver at work beside a real broker, and what it published."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from drivers.mqtt.driver import MqttDriver
from gateway.model import Quality
from gateway.testing import FakeContext
from tests.drivers.mqtt.kit import channel_of
from tests.support.eventually import eventually

TAGS = {"v": {"type": "float64", "path": "$.v"}}


class Rig:
    """A driver at work. `keep`: `on_durable` waits until `release`."""

    def __init__(self, ctx: FakeContext, driver: MqttDriver) -> None:
        self.ctx = ctx
        self.driver = driver
        self.waiting: list[Callable[[], None]] = []
        self.keeping = False
        publish = ctx.publish

        def publishing(*args: Any, on_durable: Any = None, **named: Any) -> None:
            publish(*args, **named)
            if on_durable is not None:
                self.waiting.append(on_durable)
            if not self.keeping:
                self.release()

        ctx.publish = publishing  # type: ignore[method-assign]

    def release(self) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done()

    def values(self, tag: str = "d.v") -> list[tuple[Any, Quality]]:
        return [
            (value, Quality(code))
            for batch in self.ctx.batches
            for each, value, code in zip(batch.tags, batch.values, batch.quality or [0] * len(batch), strict=True)
            if each.name == tag
        ]

    def device(self, name: str = "d") -> Any:
        return next(device for device in self.ctx.devices if device.id == name)


@contextlib.asynccontextmanager
async def running(channel: dict[str, Any], url: str, *, linked: bool = True, memory: Any = None) -> AsyncIterator[Rig]:
    ctx = FakeContext(channel_of(channel, url=url))
    if memory is not None:
        ctx.memory = memory
    async with ctx:
        driver = MqttDriver()
        rig = Rig(ctx, driver)
        task = ctx.task_group.create_task(driver.run(ctx))
        if linked:
            await eventually(lambda: ctx.linked, 20)
        try:
            yield rig
        finally:
            task.cancel()
