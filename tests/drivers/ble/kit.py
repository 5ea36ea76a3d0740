"""Channels from YAML, adverts from hex, a driver at work on a private bus."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import yaml

from drivers.ble.advert import Advert
from drivers.ble.driver import BleDriver
from drivers.ble.uuids import uuid_of
from gateway.model import ChannelSpec
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from gateway.testing import FakeContext

_FILES = "gateway: {id: x}\n"


def channel_of(text: str | dict[str, Any], profiles: dict[str, str] | None = None) -> ChannelSpec:
    """A channel from its file's text; raises ConfigError as the loader does."""
    keys = yaml.safe_load(text) if isinstance(text, str) else text
    tree = {
        "gateway.yaml": _FILES.encode(),
        "channels/radio.yaml": text.encode() if isinstance(text, str) else yaml.safe_dump(keys).encode(),
    }
    for name, profile in (profiles or {}).items():
        tree[f"profiles/{name}.yaml"] = profile.encode()
    return load_files(tree, Registry().load, env={}, credentials=CredentialFolders(None, None)).channels[0]


def advert_of(
    data: str, *, address: str = "AA:BB:CC:00:00:01", ts: int = 0, mono: float = 0.0, rssi: int = -60
) -> Advert:
    """An advert from its AD structures as hex digits (Core Specification Supplement, part A)."""
    raw = bytes.fromhex(data)
    name, manufacturer, service, uuids = "", {}, {}, []
    while raw:
        length, kind, part, raw = raw[0], raw[1], raw[2 : raw[0] + 1], raw[raw[0] + 1 :]
        assert len(part) == length - 1, "an AD structure is cut"
        if kind in {0x08, 0x09}:
            name = part.decode()
        elif kind == 0xFF:
            manufacturer[int.from_bytes(part[:2], "little")] = part[2:]
        elif kind == 0x16:
            service[uuid_of(part[1::-1].hex())] = part[2:]
        elif kind in {0x02, 0x03}:
            uuids += [uuid_of(part[i : i + 2][::-1].hex()) for i in range(0, len(part), 2)]
    return Advert(address, name, rssi, None, manufacturer, service, tuple(uuids), ts, mono)


@asynccontextmanager
async def running(channel: ChannelSpec) -> AsyncIterator[tuple[BleDriver, FakeContext]]:
    """The driver's run as a task; it ends with the block."""
    driver = BleDriver()
    async with FakeContext(channel) as context:
        task = context.task_group.create_task(driver.run(context))
        try:
            yield driver, context
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def turns(context: FakeContext, device: str) -> list[str]:
    """How often a device came and went: `online` and `offline` in turn, whatever the reasons."""
    told = [state.partition(":")[0] for name, state in context.states if name == device]
    return [state for place, state in enumerate(told) if told[place - 1 : place] != [state]]


def away(context: FakeContext) -> set[str]:
    """Devices that are offline now."""
    return {device for device, state in dict(context.states).items() if state.startswith("offline")}


async def until(condition: Callable[[], object], within: float = 20.0, why: str = "") -> None:
    """Look again and again, for what gives no event."""
    try:
        async with asyncio.timeout(within):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {why}") from None


def descriptors() -> int:
    """Open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))
