"""The driver that docs/how-to/write-a-driver.md shows is complete, short, and keeps the contract."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
from pathlib import Path

import pytest

from gateway.driver import DriverSpec
from gateway.model import ChannelSpec
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from gateway.testing import Bench, examine, reaching

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-driver.md"
TEXT = PAGE.read_text(encoding="utf-8")
MOST_LINES = 60


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXT)


DRIVER = next(block for block in blocks("python") if "DriverSpec(" in block)
CHANNEL = next(block for block in blocks("yaml") if "driver: lines" in block)


@contextlib.asynccontextmanager
async def instrument():
    """What the page says of the instrument."""
    values = {"TEMP": "21.3", "SETPOINT": "12.5"}

    async def serve(reader, writer):
        with contextlib.closing(writer), contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                word, _, value = line.decode("ascii", "replace").strip().partition(" ")
                if word.endswith("?") and word[:-1] in values:
                    writer.write(f"{values[word[:-1]]}\n".encode())
                elif value and word in values:
                    values[word] = value
                    writer.write(b"OK\n")
                else:
                    writer.write(b"ERR unknown\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
def spec(tmp_path, monkeypatch) -> DriverSpec:
    (tmp_path / "lines_of_the_page.py").write_text(DRIVER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module("lines_of_the_page").SPEC


@pytest.fixture
def channel(spec) -> ChannelSpec:
    tree = {"gateway.yaml": "gateway: {id: test}\n", "channels/bench.yaml": CHANNEL}
    return load_files(tree, {"lines": spec}, env={}, credentials=CredentialFolders(None, None)).channels[0]


def test_the_driver_of_the_page_has_at_most_60_lines():
    assert len(DRIVER.splitlines()) <= MOST_LINES


async def test_the_driver_of_the_page_keeps_the_contract_with_a_good_and_with_a_faulty_peer(spec, channel):
    async with Bench() as bench:
        there = reaching(channel, await bench.peer(instrument))
        report = await examine(spec, there, writes={"bench.setpoint": 7.5})
    assert report.findings == []
    assert {"write", "late", "garbage", "away-and-back"}.isdisjoint(report.skipped)
