"""A whole gateway in this process: from a configuration folder to a Modbus device with a log, without an uplink."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import app, wiring
from gateway.clock import SystemClock
from gateway.health import Health
from gateway.registry import Registry
from gateway.runtime.node import Node
from gateway.store import Store
from gateway.tags import TagTable
from gateway.uplink.commands import CommandMessage
from gateway.uplink.ports import CLOUD, Caller
from tests.drivers.modbus.fault_server import FaultServer
from tests.support.eventually import eventually

TAGS = {
    "level": {"address": "holding/0", "type": "uint16"},
    "flow": {"address": "holding/500", "type": "uint16", "group": "slow"},
    "speed": {"address": "holding/10", "type": "uint16", "access": "rw", "write": {"min": 0, "max": 1000}},
    "mode": {"address": "holding/11", "type": "uint16", "access": "rw"},
    "reset": {"address": "coil/20", "type": "bool", "access": "rw", "momentary": True},
    "only": {"address": "coil/21", "type": "bool", "access": "w"},
    "rare": {"address": "holding/30", "type": "uint16", "on_demand": True},
}


class Bench:
    """The node at work; `ask` does an op of the table as a command by id."""

    def __init__(self, node: Node, server: FaultServer) -> None:
        self.node = node
        self.server = server
        self._count = 0

    async def ask(self, op: str, device: str | None = None, *, via: str = CLOUD, scope: str = "", **args: Any) -> Any:
        self._count += 1
        command = CommandMessage(1, f"c{self._count}", op, device, args)
        payload = await self.node.desk.ask(command, Caller("tester", via, scope, command.rid))
        return json.loads(payload)

    def entries(self, what: str) -> list[dict[str, Any]]:
        return [row for row in self.node.store.entries_view("event", limit=100) if row.get("what") == what]

    def writes(self) -> list[tuple[int, int, int]]:
        """(unit, address, value) of every write that reached the device."""
        return [(unit, address, value) for unit, function, address, value in self.server.requests if function > 4]

    def reads(self, address: int, unit: int = 1) -> int:
        """How many reads covered a register of a unit."""
        return sum(
            function == 3 and at <= address < at + count and asked == unit
            for asked, function, at, count in self.server.requests
        )


def write_config(folder: Path, state: Path, port: int, devices: dict[str, Any] | None = None) -> None:
    (folder / "channels").mkdir(parents=True, exist_ok=True)
    main = {"gateway": {"id": "gw"}, "store": {"path": str(state)}}
    (folder / "gateway.yaml").write_text(yaml.safe_dump(main))
    wire = {
        "driver": "modbus",
        "url": f"tcp://127.0.0.1:{port}",
        "interval": "100ms",
        "timeout": "300ms",
        "groups": {"slow": "1h"},
        "devices": devices or {"pump": {"unit_id": 1, "tags": TAGS}, "fan": {"unit_id": 2, "tags": TAGS}},
    }
    (folder / "channels/wire.yaml").write_text(json.dumps(wire))


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Node]:
    """What gateway.app does, without signals and the local socket."""
    registry = Registry()
    load = app._loader(folder, registry, None)
    settings, found = app._active(folder, load, registry, None)
    clock = SystemClock(lambda: True)
    health = Health(clock)
    store = Store(settings.store, clock, release_ms=app.release_ms(), health=health)
    store.open()
    frame = wiring.Frame(folder, settings, found.generations, load, registry)
    node = wiring.wire(frame, clock, health, store)
    node.supervisor.add_core("store", store.run)
    node.desk.restore()
    node.supervisor.add("commands", node.desk.run)
    names = TagTable.names(settings.channels)
    aliases = dict(zip(names, store.bind_aliases(names), strict=True))
    for channel in settings.channels:
        node.channels.start(channel, aliases, {})
    node.notifier.reload(settings.book.notify)
    await node.ruling.start(settings.book)
    supervising = asyncio.ensure_future(node.supervisor.run())
    try:
        yield node
    finally:
        await node.desk.close()
        await node.supervisor.stop(5)
        await supervising
        await store.close()


@pytest.fixture
def devices() -> dict[str, Any] | None:
    """What is on the bus, as in a channel file; a test file may have others. None: a pump with TAGS."""
    return None


@pytest.fixture
async def bench(tmp_path: Path, devices: dict[str, Any] | None) -> AsyncIterator[Bench]:
    async with FaultServer().running() as server:
        write_config(tmp_path / "config", tmp_path / "state", server.port, devices)
        async with running(tmp_path / "config") as node:
            made = Bench(node, server)
            await eventually(lambda: online(node))
            yield made


def online(node: Node) -> bool:
    return all(state == "online" for _, runner in node.channels.runners() for state in runner.states().values())
