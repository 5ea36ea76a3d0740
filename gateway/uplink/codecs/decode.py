"""From payloads back to readings: the consumer's side of `json` and `native`. Never raises on foreign bytes (W6)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgpack
import msgspec
from msgspec import Struct, field

from gateway.model import Quality
from gateway.uplink.codecs.base import SAFE_INTEGER, inflate

Tags = Mapping[int, tuple[str, str, str]]
"""Alias -> (device, tag, type), from births."""

_GOOD = "good"
_BAD_INPUT = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
    msgspec.DecodeError, msgpack.UnpackException,
)  # fmt: skip


class Reading(NamedTuple):
    """One reading as it came. `value` in its wire form (see `wire_value`); `quality` as text."""

    seq: int
    device: str
    tag: str
    ts: int
    value: Any
    quality: str


class BatchMessage(Struct):
    """A message of `up/{stream}`. It covers first .. first+n-1.

    `batches` (json) or `columns` (native) for telemetry, `entries` for the other streams.
    """

    gateway: str
    stream: str
    epoch: int
    first: int
    n: int
    dict_no: int | None = None
    historical: bool = False
    batches: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[str, Any] | None = None
    entries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.first + self.n - 1

    def readings(self, tags: Tags) -> Iterator[Reading]:
        """Telemetry as readings. Tags are needed for native; what an uplink does not carry is left out."""
        return self._from_batches() if self.columns is None else self._from_columns(tags)

    def _from_batches(self) -> Iterator[Reading]:
        for batch in self.batches:
            quality = batch.get("quality", {})
            for seq, (tag, value) in enumerate(batch["values"].items(), batch["seq"]):
                yield Reading(seq, batch["device"], tag, batch["ts"], value, quality.get(tag, _GOOD))

    def _from_columns(self, tags: Tags) -> Iterator[Reading]:
        assert self.columns is not None
        quality = dict(self.columns.get("q", ()))
        ts = self.columns["t0"]
        for k, (alias, delta, value) in enumerate(
            zip(self.columns["i"], self.columns["dt"], self.columns["x"], strict=True)
        ):
            ts += delta
            if alias:
                device, tag, _ = tags[alias]
                yield Reading(self.first + k, device, tag, ts, wire_value(value), quality.get(k, _GOOD))


class GapMessage(Struct, frozen=True):
    """A gap record. `first` and `last` are None where a lost store's tail can never be proved."""

    gateway: str
    stream: str
    epoch: int
    first: int | None
    last: int | None
    n: int | None
    why: str


def wire_value(value: Any) -> Any:
    """A value as JSON carries it: base64 for bytes, decimal text for large integers."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if type(value) is int and abs(value) > SAFE_INTEGER:
        return str(value)
    return value


def typed_value(value: Any, type_: str) -> Any:
    """A wire value in the type that the birth names: what a consumer should store."""
    if value is None:
        return None
    if type_ == "bytes" and isinstance(value, str):
        return base64.b64decode(value)
    if type_.startswith("float"):
        return float(value)
    if type_ == "object" and isinstance(value, str):
        return msgspec.json.decode(value)
    if type_ not in {"string", "bool"} and isinstance(value, str):
        return int(value)
    return value


def plain_payload(payload: bytes) -> bytes | None:
    """A payload without compression, told by its first byte; None when it is damaged or empty."""
    if not payload:
        return None
    return inflate(payload) if payload[0] == 0x78 else payload


def decode_object(payload: bytes) -> dict[str, Any] | None:
    """A JSON object or msgpack map of version 1; None for anything else."""
    plain = plain_payload(payload)
    if plain is None:
        return None
    try:
        if plain[:1] == b"{":
            value = msgspec.json.decode(plain)
        elif plain[:1] == b"\xde" or 0x80 <= plain[0] <= 0x8F:
            value = msgpack.unpackb(plain, strict_map_key=False)
        else:
            return None
    except _BAD_INPUT:
        return None
    return value if isinstance(value, dict) and value.get("v") == 1 else None


def decode_batch(payload: bytes) -> BatchMessage | None:
    """A message of `up/{stream}` in either codec; None when it is not one."""
    value = decode_object(payload)
    if value is None:
        return None
    try:
        message = _native(value) if "g" in value else _json(value)
    except _BAD_INPUT:
        return None
    return message if message is not None and message.n > 0 and message.first > 0 else None


def _json(value: dict[str, Any]) -> BatchMessage | None:
    message = BatchMessage(
        _text(value["gateway"]), _text(value["stream"]), _int(value["epoch"]), _int(value["seq"]), _int(value["n"]),
        historical=value.get("historical") is True,
        batches=value.get("batches", []), entries=value.get("entries", []),
    )  # fmt: skip
    covered = range(message.first, message.last + 1)
    for batch in message.batches:
        _text(batch["device"])
        _int(batch["ts"])
        quality = batch.get("quality", {})
        for text in quality.values():
            Quality.parse(text)
        if not batch["values"] or _int(batch["seq"]) not in covered:
            return None
        if batch["seq"] + len(batch["values"]) - 1 not in covered or not quality.keys() <= batch["values"].keys():
            return None
    for entry in message.entries:
        if _int(entry["seq"]) not in covered:
            return None
    return message if bool(message.batches) != bool(message.entries) or message.stream == "telemetry" else None


def _native(value: dict[str, Any]) -> BatchMessage | None:
    n = _int(value["n"])
    if not len(value["i"]) == len(value["dt"]) == len(value["x"]) == n:
        return None
    for column in ("i", "dt"):
        for number in value[column]:
            _int(number)
    for index, text in value.get("q", ()):
        Quality.parse(text)
        if not 0 <= _int(index) < n:
            return None
    _int(value["t0"])
    return BatchMessage(
        _text(value["g"]), _text(value["st"]), _int(value["e"]), _int(value["s"]), n, _int(value["d"]),
        value.get("h") == 1, columns=value,
    )  # fmt: skip


def decode_gap(payload: bytes) -> GapMessage | None:
    """A message of `up/gap`; None when it is not one."""
    value = decode_object(payload)
    if value is None:
        return None
    try:
        first, last, n = (None if value[key] is None else _int(value[key]) for key in ("from", "to", "n"))
        gap = GapMessage(
            _text(value["gateway"]), _text(value["stream"]), _int(value["epoch"]), first, last, n, _text(value["why"])
        )
    except _BAD_INPUT:
        return None
    return gap if first is None or last is None or 0 < first <= last else None


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not an integer")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
