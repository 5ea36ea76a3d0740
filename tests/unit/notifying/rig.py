"""A notifier over a way out that notes what it is given."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from gateway.errors import GatewayError
from gateway.health import Health
from gateway.notifying.notifier import Notifier
from gateway.rulebook import AlarmSpec, NotifySpec
from gateway.testing import DictMemory, ManualClock
from rules.values import Instant, Transition

MQTT = (("topic", "plant/alarms"), ("uplink", "cloud"), ("retain", False))


class Refused(GatewayError):
    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Door:
    """An uplink: what was published. `broken`: what the next publishes raise; `gate`: they wait for it."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.topics: list[tuple[str, str, bool]] = []
        self.tries = 0
        self.broken: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def publish(self, uplink: str, topic: str, payload: bytes, *, retain: bool, expiry_s: float) -> None:
        self.tries += 1
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        self.topics.append((uplink, topic, retain))
        text = payload.decode()
        self.messages.append(json.loads(text) if text.startswith("{") else {"text": text})

    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]


class Rig:
    """A notifier that can be ended and begun anew on the same memory."""

    def __init__(self, *specs: NotifySpec, memory: DictMemory | None = None, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.memory = memory or DictMemory()
        self.door, self.health = Door(), Health(self.clock)
        self.notifier = Notifier(self.door, self.memory, clock=self.clock, health=self.health, gateway="gw1")
        self.notifier.reload(specs)
        self.running = asyncio.ensure_future(self.notifier.run())
        self._n = 0

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})

    async def take(self, event: str = "active", state: str = "unack_active", **more: Any) -> None:
        self._n += 1
        named = {key: more.pop(key) for key in ("id", "entity", "priority", "notify", "action", "tag") if key in more}
        spec = AlarmSpec(**{"id": "hot", "entity": "boiler", "action": "Open the bypass", **named})
        at = Instant(round(self.clock.mono() * 1000), self.clock.wall_ms())
        made = {"value": 81.0, "quality": "good", "text": "Boiler at 81.0 \u00b0C", "t_active": at.wall, **more}
        self.notifier.take(Transition(spec, event, "", state, at, **made))
        await self.clock.settle()

    def issues(self) -> dict[str, str]:
        return {issue.entity: issue.text for issue in self.health.open()}


def mqtt(name: str = "shift", **more: Any) -> NotifySpec:
    return NotifySpec(name, "mqtt", MQTT, **more)
