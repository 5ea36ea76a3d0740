"""What a user may write for a Modbus channel, device and tag (config.md section 3).

An option that exists at several levels is taken from the tag, else the device, else the channel. `defaults` of a
channel may name any of them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

WriteWith = Literal["auto", "single", "multiple"]


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Modbus connection: a server on the network or a serial line.

    `url`: `tcp://host:port` (port 502 unless said), `tls://` (802), `rtu+tcp://` or `ascii+tcp://`. `tls`: `ca`, `cert`
    and `key` as files. `serial`: `port`, `line` (9600-8E1), `turnaround`, `gap`, `framing`, `echo`, `rs485`.
    `connections`: how many connections the device takes at once, left out when nobody knows. `word_order`: letters.
    `max_registers`, `max_bits`: the most that one request may ask for. `max_gap`: unused registers that may be read
    to save a request.
    `forbidden`: ranges that are never asked (`holding/40-49`). `address_base`: 1 for manuals that count from 1.
    `bit_base`: 1 for manuals that number bits 1-16. `write_with`: function codes 5 and 6 (`single`), 15 and 16
    (`multiple`), or by the number of registers (`auto`).
    """

    url: str = ""
    tls: dict[str, Any] | None = None
    serial: dict[str, Any] | None = None
    connections: int | None = None
    word_order: str = "ABCD"
    max_registers: int = 125
    max_bits: int = 2000
    max_gap: int = 16
    forbidden: tuple[str, ...] = ()
    address_base: Literal[0, 1] = 0
    bit_base: Literal[0, 1] = 0
    write_with: WriteWith = "auto"


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A unit on the connection. `forbidden` is added to the channel's; the rest, where given, replaces it."""

    IDENTITY: ClassVar = ("unit_id", "word_order", "address_base", "bit_base")

    unit_id: int = 1
    word_order: str | None = None
    max_registers: int | None = None
    max_bits: int | None = None
    max_gap: int | None = None
    forbidden: tuple[str, ...] = ()
    address_base: Literal[0, 1] | None = None
    bit_base: Literal[0, 1] | None = None
    write_with: WriteWith | None = None


class TagSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tag. `address` in any form of config.md; `length` in bytes for texts."""

    address: str | int | float
    word_order: str | None = None
    address_base: Literal[0, 1] | None = None
    bit_base: Literal[0, 1] | None = None
    write_with: WriteWith | None = None
    length: int | None = None
