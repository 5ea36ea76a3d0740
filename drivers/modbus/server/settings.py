"""What a user may write for a server of kind `modbus`, besides what every server has (docs/reference/config.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

WordOrder = Literal["ABCD", "BADC", "CDAB", "DCBA"]
Wire = Literal["bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "bytes"]


class PlaceKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a tag is found, and as what. Left out: the type by the tag's own, no scale.

    `address` as for devices: `holding/100`, `input/7`, `coil/3`, `discrete/9`, or the classic numbers. A register holds
    value / `scale`. `length`: bytes of a text.
    """

    address: str | int
    type: Wire | None = None
    scale: Annotated[float, Meta(gt=0)] | None = None
    length: Annotated[int, Meta(ge=1, le=246)] | None = None
    word_order: WordOrder | None = None


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Modbus TCP server.

    `unit_id`: the unit that answers; 0 and 255 mean it too. `word_order`: how values of several registers lie:
    `CDAB` and `DCBA` begin with the least significant register. `floats`: registers of tags with fractions.
    `text_length`: bytes of texts. `map`: tags at places of their own, all others get theirs by rule. `bad`: what a read
    gets of a value that is not good. `status`: where the status registers begin. `clients`: networks that may connect
    (all, when empty). `max_clients`: connections at once. `idle`: seconds after which a silent connection is closed.
    `tls`: `cert` and `key`, and `ca` when clients must show a certificate of it.
    """

    unit_id: Annotated[int, Meta(ge=1, le=247)] = 1
    word_order: WordOrder = "ABCD"
    floats: Literal["float32", "float64"] = "float32"
    text_length: Annotated[int, Meta(ge=1, le=246)] = 32
    map: dict[str, str | int | dict[str, Any]] = {}
    bad: Literal["exception", "sentinel"] = "exception"
    status: str | int = "input/60000"
    clients: tuple[str, ...] = ()
    max_clients: Annotated[int, Meta(ge=1, le=100)] = 16
    idle: Annotated[int, Meta(ge=1, le=86_400)] = 60
    tls: dict[str, str] | None = None
