"""THE contract of a server: what offers the gateway's tags to the plant gives, and all it may rely on.

It mirrors gateway/driver.py the other way round: a driver brings values in, a server shows them. A new object is made
for each attempt to run; checking settings never touches the network. A server reads the latest values, and writes by
`ctx.write` only, which is the one way of every write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from gateway.clock import Clock
from gateway.driver import Fault, Memory
from gateway.model import Quality, Value, ValueType, WriteResult

CONTRACT = 1
"""Version of this contract. A server of a third party names the version it was written for."""

BOOL, INT, FLOAT, TEXT, BYTES, OBJECT = "bool", "int", "float", "text", "bytes", "object"


class Offer(Struct, frozen=True):
    """A tag as a server offers it: of the tag only what somebody at the other end can see.

    `kind`: what its values are, in engineering units: bool, int, float, text, bytes, object. `low` and `high`: what an
    int can be, both included. `readable`: it has a value at all. `writable`: it takes writes over this server.
    """

    device: str
    path: str
    type: ValueType
    kind: str
    low: int = 0
    high: int = 0
    unit: str = ""
    range: tuple[float, float] | None = None
    labels: tuple[tuple[int, str], ...] = ()
    readable: bool = True
    writable: bool = False

    @property
    def name(self) -> str:
        return f"{self.device}.{self.path}"


class ServerConfig(Struct, frozen=True):
    """What a server's settings are checked against: the server's own part and what it offers."""

    name: str
    host: str
    port: int
    settings: Any
    offers: tuple[Offer, ...]


def no_faults(_config: ServerConfig) -> Iterable[Fault]:
    """Nothing beyond the types to check."""
    return ()


class ServerSpec(Struct, frozen=True):
    """What the kernel must know of a kind of server before it runs one.

    `settings`: a frozen msgspec Struct for its own keys; the loader refuses unknown ones. `check` finds what types
    cannot express; the path of a Fault begins below the server (`map.pump.speed`). `create` makes a server for one
    attempt, and may raise PermanentError where its library is missing.
    """

    name: str
    settings: type[Any]
    create: Callable[[], Server]
    check: Callable[[ServerConfig], Iterable[Fault]] = no_faults
    contract: int = CONTRACT


class Shown(Struct, frozen=True):
    """What a tag shows now. `ts`: UTC ms when it was true, None when it was never heard."""

    value: Value
    quality: Quality
    ts: int | None


class Client(Struct, frozen=True):
    """Who is connected: `who` for people, `since` in UTC ms."""

    who: str
    since: int


class ServerContext(Protocol):
    """A server's only way to the gateway. Tags go by their place in `offers`, which never changes while it runs."""

    name: str
    gateway: str
    """The gateway's id."""
    host: str
    port: int
    settings: Any
    offers: tuple[Offer, ...]
    base: Path
    """The configuration folder: where relative names of files begin."""
    folder: Path
    """Where files of its own may be kept (certificates); made by the server when it needs it."""
    clock: Clock
    log: logging.LoggerAdapter[logging.Logger]
    memory: Memory
    task_group: asyncio.TaskGroup
    """Every task of a server is born here."""

    def current(self, place: int) -> Shown:
        """The latest value of a tag. Synchronous and cheap."""
        ...

    async def changed(self) -> Sequence[int]:
        """Wait until tags have news, and take them: each place once, however often it changed in between. The first
        call gives all. One task of the server may wait at a time.
        """
        ...

    async def write(self, values: Mapping[int, object], who: str) -> list[WriteResult]:
        """Write tags, in the order of `values`: checked as every write is (access, range, rate, interlock,
        maintenance), audited as `who`, read back. All are checked before any is written. Never raises for what is
        wrong with a value or a device.
        """
        ...

    def listening(self) -> None:
        """The server takes connections."""
        ...

    def issue(self, key: str, text: str, repair: str = "") -> None:
        """Raise or refresh a condition that a person should see."""
        ...

    def clear(self, key: str) -> None: ...


class Server(Protocol):
    """A running server. `run` does not return by itself; OSError from binding its port is an issue and tried again."""

    async def run(self, ctx: ServerContext) -> None: ...

    def clients(self) -> Sequence[Client]:
        """Who is connected now."""
        ...


@runtime_checkable
class Mapped(Protocol):
    """A server whose tags have places of their own: registers, node ids."""

    def map(self) -> Sequence[Mapping[str, Any]]:
        """A row for each place, with the same keys in every row, for `fieldpost export --server`."""
        ...


__all__ = [
    "BOOL",
    "BYTES",
    "CONTRACT",
    "FLOAT",
    "INT",
    "OBJECT",
    "TEXT",
    "Client",
    "Fault",
    "Mapped",
    "Offer",
    "Server",
    "ServerConfig",
    "ServerContext",
    "ServerSpec",
    "Shown",
    "no_faults",
]
