"""The driver's own keys of channel, device and tag."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

Auth = Literal["none", "md5", "sha", "sha224", "sha256", "sha384", "sha512"]
Privacy = Literal["none", "des", "aes", "aes192", "aes256", "aes192c", "aes256c"]
Syntax = Literal[
    "auto", "integer", "unsigned", "counter", "counter64", "ticks", "octets", "hex", "ip", "oid", "truth", "bits"
]


class ChannelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One agent: where it is, and who asks."""

    url: str
    version: Literal["2c", 3] = "2c"
    community: str = "public"
    write_community: str = ""
    """Used for SET; empty: `community`."""
    user: str = ""
    auth: Auth = "sha"
    auth_password: str = ""
    privacy: Privacy = "aes"
    privacy_password: str = ""
    max_oids: int = 24
    """Most OIDs in one request; fewer where the agent has said tooBig."""
    resend: int = 1
    """So often a GET without an answer is sent again within the channel's timeout; a SET never is."""


class DeviceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What is behind an agent: as a rule it is the agent itself."""

    context: str = ""
    """The context name of v3."""

    IDENTITY: ClassVar[tuple[str, ...]] = ("context",)


class TagSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One object instance."""

    oid: str
    syntax: Syntax = "auto"
    """How the value is sent with SET, and how octets are shown."""
