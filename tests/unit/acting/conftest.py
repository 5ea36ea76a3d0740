"""An actor over real commands, with a line and doors that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.acting.actor import Actor
from gateway.commands import Commands
from gateway.errors import GatewayError
from gateway.health import Health
from gateway.latest import LatestValues
from gateway.model import Access, ChannelSpec, DeviceSpec, Schedule, TagSpec, ValueType, Write, WriteResult, WriteState
from gateway.rulebook import Step
from gateway.tags import TagTable
from gateway.testing import ManualClock
from rules.values import Do, Instant


class Line:
    """The field: takes writes while its gate is open."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.ends: list[WriteResult] = []

    def target(self, device: str) -> Line | None:
        return None if device == "gone" else self

    async def write(self, write: Write) -> WriteResult:
        self.written.append((write.tag.name, write.value))
        await self.gate.wait()
        return WriteResult(write.tag.device, write.tag.path, WriteState.OK, 200, write.value, verified=True)


class Trail:
    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def record(self, who: str, via: str, what: str, **details: Any) -> None:
        self.entries.append({"who": who, "via": via, "what": what, **details})


class Doors:
    """What came through each door. `broken`: what the next calls raise; `gate`: they wait for it."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.broken: Exception | None = None
        self.body: dict[str, Any] = {"out": {}}
        self.missed: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def _through(self, *call: Any) -> None:
        self.calls.append(call)
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken

    async def desire(self, device: str, values: dict[str, Any], who: str) -> None:
        await self._through("desire", device, values, who)

    async def command(self, op: str, device: str, args: dict[str, Any], who: str, within_s: float) -> dict[str, Any]:
        await self._through("command", op, device, args, who, within_s)
        return self.body

    async def publish(self, uplink: str, topic: str, payload: bytes, *, retain: bool, expiry_s: float) -> None:
        await self._through("publish", uplink, topic, payload, retain, expiry_s)

    def notify(self, to: Any, text: str, who: str) -> list[str]:
        if self.broken is not None:
            raise self.broken
        self.calls.append(("notify", to, text, who))
        return self.missed


class Refused(GatewayError):
    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def devices(*names: str) -> ChannelSpec:
    tags = tuple(TagSpec(path, ValueType.INT32, None, access=Access.READ_WRITE) for path in ("run", "speed"))
    return ChannelSpec("line", "sim", None, tuple(DeviceSpec(name, None, tags, Schedule(1.0)) for name in names))


class Rig:
    def __init__(self) -> None:
        spec, table = devices("pump", "fan", "gone"), TagTable()
        table.bind(spec, {name: 1 + place for place, name in enumerate(TagTable.names([spec]))})
        self.clock = ManualClock()
        latest = LatestValues(self.clock)
        latest.grow(table.size)
        self.line, self.trail, self.doors, self.health = Line(), Trail(), Doors(), Health(self.clock)
        self.told: list[tuple[str, str, int, str]] = []
        commands = Commands(table, latest, self.line, self.clock, self.trail)  # type: ignore[arg-type]
        self.actor = Actor(
            commands,
            self.doors,
            clock=self.clock,
            health=self.health,
            audit=self.trail,  # type: ignore[arg-type]
            told=lambda action, state, code, text: self.told.append((action.rule, state, code, text)),
        )
        self._seq = 0

    def do(self, kind: str, *, rule: str = "r", values: Any = (), text: str = "", dry_run: bool = False, **step: Any):
        self._seq += 1
        made = Step(kind, **step)
        pairs = tuple(values.items()) if isinstance(values, dict) else values
        self.actor.do(Do(self._seq, rule, "start", made, Instant(0, 0), pairs, text, dry_run))

    def states(self) -> list[tuple[str, int]]:
        return [(state, code) for _, state, code, _ in self.told]

    def issues(self) -> dict[str, str]:
        return {issue.entity: issue.text for issue in self.health.open() if issue.id == "action_failed"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    running = asyncio.ensure_future(made.actor.run())
    await asyncio.sleep(0)
    yield made
    running.cancel()
    await asyncio.wait({running})
