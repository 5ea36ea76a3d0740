"""What a user may write for a server of kind `opcua`, besides what every server has (docs/reference/config.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class UserKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may log in. `write`: whether what the server offers for writing may be written by this user."""

    password: str
    write: bool = True

    def __repr__(self) -> str:
        """Without the password: settings end up in logs and tracebacks."""
        return f"UserKeys(write={self.write})"


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OPC UA server.

    `security`: which endpoints there are; `sign` and `encrypt` need a client whose certificate is trusted. `users`: by
    name. `anonymous`: whether anybody may log in without a name, to read. `uri`: the application's, which is the
    namespace of the node ids too. `path`: of the endpoint's URL. `hosts`: further names of this machine for the
    certificate. `max_clients`: connections at once. `update`: milliseconds in which changes are gathered.
    """

    security: Annotated[tuple[Literal["encrypt", "sign", "none"], ...], Meta(min_length=1)] = ("encrypt",)
    users: dict[str, UserKeys] = {}
    anonymous: bool = False
    uri: str | None = None
    path: str = "/"
    hosts: tuple[str, ...] = ()
    max_clients: Annotated[int, Meta(ge=1, le=200)] = 16
    update: Annotated[int, Meta(ge=10, le=10_000)] = 100
