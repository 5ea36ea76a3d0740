"""What the store's tests share: small stores, batches, and a writer process that can be killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.health import Health
from gateway.journal import Segment
from gateway.model import Batch, Block, Tag, TagSpec, ValueType
from gateway.settings.types import JournalSettings, StoreSettings
from gateway.store import Store
from gateway.testing import ManualClock

RELEASE_MS = 1_700_000_000_000


def settings(path: Path, *, max_bytes: int = 8_000_000, interval: float = 1.0, **journal: Any) -> StoreSettings:
    return StoreSettings(path, interval, journal=JournalSettings(max_bytes=max_bytes, **journal))


def opened(path: Path, clock: ManualClock | None = None, health: Health | None = None, **more: Any) -> Store:
    """An open store in `path`."""
    buffer = more.pop("buffer_readings", 200_000)
    store = Store(
        settings(path, **more), clock or ManualClock(), release_ms=RELEASE_MS, health=health, buffer_readings=buffer
    )
    store.open()
    return store


def block(store: Store, n: int, device: str = "dev", type_: ValueType = ValueType.FLOAT64) -> Block:
    """A block of `n` tags that are bound as the only ones."""
    aliases = store.bind_aliases([(device, f"t{i}") for i in range(n)])
    tags = [Tag(device, f"t{i}", i, alias, TagSpec(f"t{i}", type_, None)) for i, alias in enumerate(aliases)]
    return Block(device, tags)


def batch(block: Block, values: Sequence[Any], ts: int = 1_000, **more: Any) -> Batch:
    return Batch(block, values, ts, 1_000.0, **more)


def everything(consumer: Any, stream: str = "telemetry", limit: int = 1000) -> list[Segment]:
    """All that a consumer is offered, in one pass."""
    found: list[Segment] = []
    after = (0, 0)
    while (segment := consumer.next_segment(stream, after, limit)) is not None:
        found.append(segment)
        after = (segment.epoch, segment.last)
    return found


def numbers(segments: Sequence[Segment]) -> list[int]:
    return [n for segment in segments for n in range(segment.first, segment.last + 1)]
