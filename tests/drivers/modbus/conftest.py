"""Servers for the tests of the Modbus driver."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.drivers.modbus.fault_server import FaultServer
from tests.support.parts import require

PEERS = Path(__file__).resolve().parents[2] / "peers"


@pytest.fixture
async def faulty() -> AsyncIterator[FaultServer]:
    """A server whose behaviour the test switches."""
    async with FaultServer().running() as server:
        yield server


@pytest.fixture(scope="session")
def libmodbus_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program tests/peers/modbus_server.c, built against Debian's libmodbus."""
    require("gcc", "pkg-config", "libmodbus")
    program = tmp_path_factory.mktemp("peers") / "modbus_server"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libmodbus"], check=True, capture_output=True, text=True
    ).stdout.split()
    subprocess.run(["gcc", str(PEERS / "modbus_server.c"), "-o", str(program), *flags], check=True)
    return program
