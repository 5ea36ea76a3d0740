"""Everything the demo starts: plant, broker and gateway in a temporary folder, and how all of it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.demo.broker import Broker, find_broker
from gateway.demo.plant import NAMES
from gateway.demo.processes import Child, spawn
from gateway.errors import GatewayError
from gateway.local.client import AsyncClient
from gateway.local.wire import SOCKET_NAME, NotRunning

_PREFIX = "fieldpost-demo-"
_START_S = 30.0
_GATEWAY_END_S = 15.0


class DemoFailed(GatewayError):
    """A part of the demo did not start, or ended unasked."""


class Stage:
    """The running parts. Made by `staged`."""

    def __init__(self, folder: Path, ports: dict[str, int], broker: Broker) -> None:
        self.folder = folder
        self.ports = ports
        self.broker_name = broker.name
        self.broker: Child | None = None
        self.plant: Child | None = None
        self.gateway: Child | None = None
        self._broker = broker

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def socket(self) -> Path:
        return self.folder / "state" / SOCKET_NAME

    @property
    def broker_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.ports['broker']}"

    @property
    def has_consumer(self) -> bool:
        """Whether the demo's own consumer can be used: it speaks MQTT 5."""
        return self._broker.mqtt5

    async def start_plant(self) -> None:
        """The plant says itself which ports it got."""
        wanted = [str(self.ports.get(name, 0)) for name in NAMES]
        command = [sys.executable, "-P", "-m", "gateway.demo.plant", *wanted]
        self.plant = await spawn("plant", command, self.folder, stdout=True)
        try:
            line = await self.plant.first_line(_START_S)
        except TimeoutError:
            line = ""
        if not line:
            raise DemoFailed(f"the plant did not start: {_last(self.plant.tail())}")
        self.ports.update(json.loads(line))

    async def start_broker(self) -> None:
        how = self._broker
        self.broker = await spawn("broker", how.command, self.folder, config=how.config, user=how.user)

    async def stop_broker(self) -> None:
        if self.broker is not None:
            await self.broker.end(5.0)
            self.broker = None

    async def start_gateway(self) -> None:
        """Returns when its socket answers."""
        env = {f"FIELDPOST_DEMO_{name.upper()}": str(port) for name, port in self.ports.items()}
        env["FIELDPOST_DEMO_ACK"] = "consumer" if self.has_consumer else "broker"
        env["FIELDPOST_DEMO_STATE"] = str(self.folder / "state")
        command = [sys.executable, "-P", "-m", "gateway.cli", "run", "--config", str(self.config)]
        self.gateway = await spawn("gateway", command, self.folder, env)
        try:
            async with asyncio.timeout(_START_S):
                while not await self._answers():  # noqa: ASYNC110 - another process: nothing here could set an event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DemoFailed(f"the gateway does not answer: {_last(self.gateway.tail())}") from None

    async def _answers(self) -> bool:
        self.look()
        try:
            async with AsyncClient(self.socket, timeout_s=5.0) as client:
                await client.call("version")
        except NotRunning:
            return False
        return True

    def look(self) -> None:
        """Raise DemoFailed when a part has ended unasked."""
        for child in (self.plant, self.broker, self.gateway):
            if child is not None and not child.running:
                code = child.process.returncode
                raise DemoFailed(f"the {child.name} ended with status {code}: {_last(child.tail())}")

    async def end(self) -> None:
        """In order: the gateway may still deliver while it stops."""
        for child, wait in ((self.gateway, _GATEWAY_END_S), (self.broker, 5.0), (self.plant, 5.0)):
            if child is not None:
                await child.end(wait)


@contextlib.asynccontextmanager
async def staged(port_base: int | None) -> AsyncIterator[Stage]:
    """A stage to start parts on; all are ended and the folder is gone when the block ends, however it ends."""
    _remove_left_overs()
    ports = {} if port_base is None else {name: port_base + i for i, name in enumerate(NAMES)}
    ports["broker"] = _free_port() if port_base is None else port_base + len(NAMES)
    broker = find_broker(ports["broker"])
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    stage = Stage(folder, ports, broker)
    try:
        _furnish(folder)
        yield stage
    finally:
        await stage.end()
        shutil.rmtree(folder, ignore_errors=True)


def _furnish(folder: Path) -> None:
    (folder / "state").mkdir(mode=0o700)
    shutil.copytree(Path(__file__).parent / "config", folder / "config")


def _remove_left_overs() -> None:
    """Folders of demos that were killed: their pid is in the name and gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and folder.stat().st_uid == os.geteuid():
                shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last(text: str) -> str:
    return text.splitlines()[-1] if text else "it said nothing"
