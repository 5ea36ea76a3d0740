"""Plays every exchange of cases/: each folder is a bug seen in the field. A new bug is a new folder, no new code.

wire.txt: `>` a request in hex, compared to the byte; `<` what is answered to it; `=` the client must come back on a new
connection. A request without answer gets none. channel.yaml: options of the channel, and devices with their tags.
expect.yaml: one row per poll of a device: values and quality by tag, or the error.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import errors
from gateway.model import Quality
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, tag_spec

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())


class Script:
    """Serves wire.txt to one client after the other. `problems` are differences between script and client."""

    def __init__(self, text: str) -> None:
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        connections: list[list[tuple[bytes, bytes]]] = [[]]
        for line in lines:
            mark, rest = line[0], line[1:]
            if mark == "=":
                connections.append([])
            elif mark == ">":
                connections[-1].append((bytes.fromhex(rest), b""))
            else:
                request, answer = connections[-1].pop()
                connections[-1].append((request, answer + bytes.fromhex(rest)))
        self._connections = connections
        self._served = 0
        self.problems: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange, self._served = self._connections[self._served :][:1], self._served + 1
        if not exchange:
            self.problems.append("one connection too many")
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for request, answer in exchange[0] if exchange else []:
                got = await reader.readexactly(len(request))
                if got != request:
                    self.problems.append(f"asked {got.hex(' ')} instead of {request.hex(' ')}")
                writer.write(answer)
            if await reader.read():
                self.problems.append("asked more than the script has")
        writer.close()


def load(case: Path) -> tuple[Any, list[Any], list[dict[str, Any]]]:
    options = yaml.safe_load((case / "channel.yaml").read_text())
    timeout = options.pop("timeout", 5.0)
    devices = []
    for name, device in options.pop("devices").items():
        specs = []
        for path, tag in device.pop("tags").items():
            tag = {key: tuple(value) if isinstance(value, list) else value for key, value in tag.items()}
            specs.append(tag_spec(path, tag.pop("address"), tag.pop("type"), **tag))
        devices.append(device_of(specs, name, **device))
    return {"timeout_s": timeout, **options}, devices, yaml.safe_load((case / "expect.yaml").read_text())


async def poll(driver, device) -> dict[str, Any]:
    """What a row of expect.yaml describes, as seen."""
    values, quality = {}, {}
    try:
        for request in driver.plan(device, device.tags):
            columns = await driver.read(request)
            paths = [tag.path for tag in request.block.tags]
            values.update(zip(paths, columns.values, strict=True))
            codes = columns.quality or [0] * len(paths)
            quality.update({path: Quality(code).text for path, code in zip(paths, codes, strict=True) if code})
    except errors.GatewayError as err:
        seen: dict[str, Any] = {"device": device.id, "error": type(err).__name__}
        if isinstance(err, errors.RequestRefused):
            seen |= {"code": err.code, "reason": err.reason}
        return seen
    return {"device": device.id, "values": values} | ({"quality": quality} if quality else {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_exchange_seen_in_the_field_gives_what_is_expected(case):
    options, devices, expected = load(case)
    script = Script((case / "wire.txt").read_text())
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    by_name = {device.id: device for device in devices}
    try:
        async with driver_on(channel_of(*devices, port=port, **options), *devices) as driver:
            for row in expected:
                assert await poll(driver, by_name[row["device"]]) == row
    finally:
        server.close()
        await server.wait_closed()
    assert script.problems == []


def test_there_are_cases_and_each_has_its_four_files():
    assert len(CASES) >= 6
    for case in CASES:
        assert {path.name for path in case.iterdir()} == {"wire.txt", "channel.yaml", "expect.yaml", "README"}
