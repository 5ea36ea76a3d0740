"""The Modbus TCP server to the plant. Importing this loads settings and checks only."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.modbus.server.settings import ServerSettings
from gateway.serving.contract import Fault, Server, ServerConfig, ServerSpec


def _create() -> Server:
    from drivers.modbus.server.server import ModbusServer

    return ModbusServer()


def _check(config: ServerConfig) -> Iterable[Fault]:
    from drivers.modbus.server.check import check

    return check(config)


SPEC = ServerSpec(name="modbus", settings=ServerSettings, create=_create, check=_check)
