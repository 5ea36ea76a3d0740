"""An uplink at work over a journal in memory, and a scripted MQTT peer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.health import Health
from gateway.settings.types import UplinkSettings
from gateway.uplink.ports import Identity
from gateway.uplink.uplink import Uplink
from tests.unit.uplink.memory_journal import MemoryJournal
from tests.unit.uplink.memory_table import desk as make_desk
from tests.unit.uplink.virtual import JournalModel

IDENTITY = Identity("gw1", "acme", "0.1.0", "5f0c9a1e")
ROOT = IDENTITY.root


class NoLatest:
    def current(self) -> list[Any]:
        return []

    def get(self, slot: int) -> None:
        return None

    def subscribe(self, listener: Any) -> Callable[[], None]:
        return lambda: None


async def ops(op: str, device: str | None, args: dict[str, Any], caller: Any = None) -> dict[str, Any]:
    return {"code": 200, "out": {"op": op, "device": device, "args": args}}


class Rig:
    """Starts uplinks and ends them."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.health = Health(self.clock)
        self.journal = MemoryJournal()
        self.tasks: list[asyncio.Task[None]] = []
        self.uplinks: list[Uplink] = []

    def uplink(
        self,
        *urls: str,
        journal: Any = None,
        handler: Any = ops,
        latest: Any = None,
        random: Random | None = None,
        model: Any = None,
        port: Any = None,
        **settings: Any,
    ) -> Uplink:
        desk = make_desk(handler, self.clock)
        self.tasks.append(asyncio.ensure_future(desk.run()))
        consumer = None if settings.get("codec") == "flat" else self.journal if journal is None else journal
        uplink = Uplink(
            UplinkSettings("cloud", urls, settings.pop("client_id", "gw1"), **settings),
            IDENTITY, consumer, model or (lambda: JournalModel(consumer or self.journal)), latest or NoLatest(), self.clock,
            self.health, desk, random=random or Random(1), jobs=port,
        )  # fmt: skip
        self.uplinks.append(uplink)
        self.tasks.append(asyncio.ensure_future(uplink.run()))
        return uplink

    def issues(self) -> list[str]:
        return [issue.id for issue in self.health.open()]

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def rig(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    caplog.set_level(logging.WARNING)
    rig = Rig()
    yield rig
    await rig.close()
    assert not caplog.records, [record.getMessage() for record in caplog.records]
