"""Rules of a new configuration over the latest readings of the running one: what would fail is found before it counts.

Nothing is written and nobody is told. The rules begin as after a first start, without what the running ones remember.
"""

from __future__ import annotations

import asyncio
import contextlib

from gateway.errors import StoreDamaged
from gateway.model import Tag
from gateway.settings.types import GatewaySettings
from gateway.store import Store
from gateway.store.arrivals import Arrival, Chosen, Span
from gateway.tags import TagTable
from rules.replay import Entry, Outcomes, Replay
from rules.replay.outcomes import Line
from rules.replay.player import needs_of

BATCHES = 1000
MOST_TOLD = 20
_MOST_SEGMENTS = 1000
_A_TURN = 20


class Rehearsed:
    """What a run showed: `failed` is rule -> why, `batches` were played."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        self.batches = 0

    def take(self, line: Line) -> None:
        if line["kind"] == "rule" and line["what"] == "failed" and len(self.failed) < MOST_TOLD:
            self.failed.setdefault(str(line["rule"]), str(line.get("text", "")))


async def rehearse(settings: GatewaySettings, store: Store) -> Rehearsed:
    """Play the newest readings, some BATCHES of those that the rules look at, through the rules of `settings`. Raises
    ExpressionError for rules that do not fit the tags. Everybody else runs in between.
    """
    found = Rehearsed()
    tags = _tags(settings)
    needs = await asyncio.to_thread(needs_of, settings.book, tags)
    if not needs.tags:
        return found
    replay = Replay(settings.book, tags, Outcomes(found.take), timed=True)
    chosen = Chosen(tags=frozenset(needs.tags))
    async for part in store.arrivals().batches(Span(since_ms=await _since(store)), store.aliases(), chosen):
        if not isinstance(part, Arrival):
            continue
        replay.batch(_entry(part))
        found.batches += 1
        if found.batches % _A_TURN == 0:
            await asyncio.sleep(0)
    return found


async def _since(store: Store) -> int:
    """From which moment on there are BATCHES, UTC ms; that of the oldest segment looked at where there are fewer."""
    batches, since = 0, 0
    for count, header in enumerate(store.reader.headers_back("telemetry"), 1):
        with contextlib.suppress(StoreDamaged):  # told when it is read for somebody
            segment = store.reader.segment(header.stream, header.epoch, header.first)
            batches += 0 if segment is None else len(segment.border_n)
        since = header.mono + header.stamp.offset
        if batches >= BATCHES or count >= _MOST_SEGMENTS:
            break
        await asyncio.sleep(0)
    return since


def _tags(settings: GatewaySettings) -> list[Tag]:
    table = TagTable()
    aliases = {name: number for number, name in enumerate(TagTable.names(settings.channels), 1)}
    for channel in settings.channels:
        table.bind(channel, aliases)
    return table.tags()


def _entry(arrival: Arrival) -> Entry:
    quality = None if arrival.quality is None else tuple(arrival.quality)
    return Entry(
        arrival.at,
        arrival.offset,
        arrival.boot,
        arrival.ts,
        arrival.device,
        tuple(arrival.tags),
        tuple(arrival.values),
        quality,
    )
