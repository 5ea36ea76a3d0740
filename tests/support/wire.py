"""Reads what a gateway sends, written from protocol.md alone: an oracle beside the project's own consumer library.

Understands batch messages of codecs `json` and `native`, plain or zlib (protocol.md 1.3, first byte 1.4), and gap
records. Knows nothing of gateway.uplink or gateway.proof.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack


@dataclass(frozen=True, slots=True)
class Reading:
    """One numbered reading as received. `tag` is a path for json; `native` gives the alias, resolved by the birth."""

    device: str
    tag: str
    ts: int
    value: Any
    quality: str = "good"


@dataclass(frozen=True, slots=True)
class Header:
    stream: str
    epoch: int
    seq: int
    n: int
    historical: bool


Aliases = dict[int, tuple[str, str]]


def unpack(payload: bytes) -> Any:
    """The object in a payload, whatever its codec and compression."""
    if payload[:1] == b"\x78":
        payload = zlib.decompress(payload)
    if payload[:1] == b"{":
        return json.loads(payload)
    return msgpack.unpackb(payload, strict_map_key=False)


def header(message: dict[str, Any]) -> Header:
    assert message["v"] == 1, message
    if "stream" in message:
        historical = bool(message.get("historical", False))
        return Header(message["stream"], message["epoch"], message["seq"], message["n"], historical)
    return Header(message["st"], message["e"], message["s"], message["n"], bool(message.get("h", 0)))


def readings(message: dict[str, Any], aliases: Aliases) -> Iterator[tuple[int, Reading]]:
    """(number, reading) of one telemetry message."""
    return _json(message) if "batches" in message else _native(message, aliases)


def _json(message: dict[str, Any]) -> Iterator[tuple[int, Reading]]:
    expected = message["seq"]
    for entry in message["batches"]:
        assert entry["seq"] == expected, f"a hole inside a message: {entry['seq']} is not {expected}"
        quality = entry.get("quality", {})
        for offset, (tag, value) in enumerate(entry["values"].items()):
            yield entry["seq"] + offset, Reading(entry["device"], tag, entry["ts"], value, quality.get(tag, "good"))
        expected += len(entry["values"])
    assert expected == message["seq"] + message["n"], "n does not count the values"


def _native(message: dict[str, Any], aliases: Aliases) -> Iterator[tuple[int, Reading]]:
    quality = dict(message.get("q", ()))
    ts = message["t0"]
    n = message["n"]
    assert len(message["i"]) == len(message["dt"]) == len(message["x"]) == n, "columns of unequal length"
    for index, (alias, delta, value) in enumerate(zip(message["i"], message["dt"], message["x"], strict=True)):
        ts += delta
        device, tag = aliases[alias]
        yield message["s"] + index, Reading(device, tag, ts, value, quality.get(index, "good"))


def birth_aliases(birth: dict[str, Any]) -> Aliases:
    """What each alias stands for, (device, tag), of one birth message or part."""
    columns = birth.get("columns", ["alias", "device", "tag"])
    at = {name: columns.index(name) for name in ("alias", "device", "tag")}
    return {row[at["alias"]]: (row[at["device"]], row[at["tag"]]) for row in birth.get("tags", [])}
