"""The OPC UA server to the plant. Importing this loads settings and checks only; asyncua is imported when it starts."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.opcua.server.settings import ServerSettings
from gateway.errors import PermanentError
from gateway.serving.contract import Fault, Server, ServerConfig, ServerSpec


def _create() -> Server:
    try:
        from drivers.opcua.server.server import OpcUaServer
    except ImportError as error:
        text = f"the library asyncua cannot be loaded ({error}): pip install 'fieldpost[opcua]'"
        raise PermanentError(text) from error
    return OpcUaServer()


def _check(config: ServerConfig) -> Iterable[Fault]:
    from drivers.opcua.server.check import check

    return check(config)


SPEC = ServerSpec(name="opcua", settings=ServerSettings, create=_create, check=_check)
