"""Answers to commands (protocol.md 1.3). Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from gateway.fleet.document import decode

ACCEPTED = 202


class Result(Struct, frozen=True):
    """The answer to a command. `state`: done, failed, rejected, expired. `items` per tag, `out` for other ops."""

    rid: str
    state: str
    code: int
    ts: int | None = None
    text: str = ""
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    out: Any = None

    @property
    def ok(self) -> bool:
        return self.code == 200


class _Wire(Struct):
    v: int
    rid: str
    state: str
    code: int
    ts: int | None = None
    text: str = ""
    items: dict[str, dict[str, Any]] | None = None
    out: Any = None


def parse_result(payload: bytes) -> Result | None:
    """None for what is no result of version 1."""
    wire = decode(payload, _Wire)
    if wire is None:
        return None
    return Result(wire.rid, wire.state, wire.code, wire.ts, wire.text, wire.items or {}, wire.out)
