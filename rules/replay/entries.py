"""A recorded batch, and how it is read from the JSON that the op `history` and recordings carry."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from gateway import lossless
from gateway.errors import GatewayError
from gateway.model import Quality, Value


class NotAnEntry(GatewayError):
    """Something else than a recorded batch."""


class Entry(Struct, frozen=True):
    """One batch as it came. `at`: ms on the boot clock of `boot`; `offset`: wall minus boot clock; `ts`: UTC ms when
    the values were true. `quality` is None where all are good.
    """

    at: int
    offset: int
    boot: str
    ts: int
    device: str
    tags: tuple[str, ...]
    values: tuple[Value, ...]
    quality: tuple[int, ...] | None = None

    @property
    def wall(self) -> int:
        """UTC ms at arrival."""
        return self.at + self.offset


class _Raw(Struct):
    """The form in JSON; further fields are somebody else's."""

    at: int
    offset: int
    ts: int
    device: str
    tags: tuple[str, ...]
    values: list[Any]
    boot: str = ""
    quality: list[str] | None = None


def entry_from(item: dict[str, Any]) -> Entry:
    """The batch of a JSON object. Raises NotAnEntry."""
    try:
        raw = msgspec.convert(item, _Raw)
        values = tuple(lossless.from_json(value) for value in raw.values)
        quality = None if raw.quality is None else tuple(int(Quality.parse(text)) for text in raw.quality)
    except (msgspec.ValidationError, ValueError, KeyError) as error:
        raise NotAnEntry(f"not a recorded batch: {error}") from error
    if len(values) != len(raw.tags) or (quality is not None and len(quality) != len(values)):
        raise NotAnEntry("not a recorded batch: its columns differ in length")
    return Entry(raw.at, raw.offset, raw.boot, raw.ts, raw.device, raw.tags, values, quality)


def entry_to(entry: Entry) -> dict[str, Any]:
    """The JSON object of a batch; `entry_from` gives it back equal."""
    item: dict[str, Any] = {
        "at": entry.at,
        "offset": entry.offset,
        "boot": entry.boot,
        "ts": entry.ts,
        "device": entry.device,
        "tags": list(entry.tags),
        "values": [lossless.to_json(value) for value in entry.values],
    }
    if entry.quality is not None:
        item["quality"] = [Quality(code).text for code in entry.quality]
    return item
