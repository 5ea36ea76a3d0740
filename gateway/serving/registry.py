"""Kinds of servers by name, found by entry point and imported only when a configuration wants one."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from gateway.errors import PermanentError
from gateway.registry import EntryPoint, Find, SpecRegistry
from gateway.serving.contract import CONTRACT, ServerSpec

GROUP = "fieldpost.servers"


class ServerNotUsable(PermanentError):
    """A kind that is unknown, cannot be imported, or was written for another contract. `installed`: it is known by
    name.
    """

    def __init__(self, kind: str, reason: str, *, installed: bool = True) -> None:
        super().__init__(f"server kind {kind!r}: {reason}")
        self.kind = kind
        self.reason = reason
        self.installed = installed


def installed() -> Iterable[EntryPoint]:
    """The entry points of all installed distributions."""
    return metadata.entry_points(group=GROUP)


class ServerRegistry(SpecRegistry[ServerSpec]):
    """Kinds of servers. `load` raises ServerNotUsable."""

    spec = ServerSpec
    contract = CONTRACT
    side, noun = "server", "kind"

    def __init__(self, find: Find = installed) -> None:
        super().__init__(find)

    def unusable(self, name: str, reason: str, *, installed: bool) -> ServerNotUsable:
        return ServerNotUsable(name, reason, installed=installed)
