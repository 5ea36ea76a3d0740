"""What a user may write for the gateway's own machine."""

from __future__ import annotations

import msgspec


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`root`: where the machine's file system is; not `/` for a container that has it elsewhere."""

    root: str = "/"


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The machine. It has no keys of its own."""


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`address`: `cpu/usage`, `memory/available`, `disk:/var/used_percent`, `net/eth0/rx_bytes`."""

    address: str
