"""The op `history`: what the journal holds, in the order and at the times it arrived, for replay.

Items are pages `{"entries": [...]}`. An entry of telemetry is one batch: `{"at", "offset", "boot", "ts", "device",
"tags", "values", "quality"?, "seq", "epoch"}`; `at` is the boot clock in ms, `at + offset` the wall clock then. Entries
of alarm and event are as they are stored, with their `epoch`. `{"gap": {"epoch", "from", "to"}}` stands where numbers
are missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec

from gateway import lossless
from gateway.errors import StoreFull
from gateway.local.wire import OpError
from gateway.model import Quality
from gateway.store import Store
from gateway.store.arrivals import Arrival, Chosen, Missing, Span

PAGE_READINGS = 4096
PAGE_ENTRIES = 500
STREAMS = ("telemetry", "alarm", "event")


class _Args(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the op takes. `kinds` chooses among entries of alarm and event, `who` (its beginning) and `what` among those
    of the audit log.
    """

    stream: str = "telemetry"
    since_ms: int = 0
    until_ms: int | None = None
    devices: list[str] = []
    tags: list[str] = []
    kinds: list[str] = []
    who: str = ""
    what: list[str] = []

    @property
    def span(self) -> Span:
        return Span(self.since_ms, self.until_ms)

    def takes(self, row: dict[str, Any]) -> bool:
        kind = row.get("kind")
        if self.kinds and kind not in self.kinds:
            return False
        if kind != "audit":
            return True
        return str(row.get("who", "")).startswith(self.who) and (not self.what or row.get("what") in self.what)


class HasStore(Protocol):
    """What the op needs of a running node."""

    @property
    def store(self) -> Store: ...


class HistoryOps:
    """The op over one running node."""

    def __init__(self, node: HasStore) -> None:
        self._node = node

    async def history(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Pages of entries, oldest first; the store is only read, page by page, as the caller takes them."""
        try:
            asked = msgspec.convert(args, _Args)
        except msgspec.ValidationError as error:
            raise OpError(f"history: {error}", code=400) from error
        if asked.stream not in STREAMS:
            raise OpError(f"there is no stream {asked.stream}; there are {', '.join(STREAMS)}", code=404)
        with contextlib.suppress(StoreFull):  # what finds no room on the disk is not history yet
            await self._node.store.commit()
        page = _Page()
        async for entry in self._entries(asked):
            if isinstance(entry, Missing):
                for item in page.items():
                    yield item
                yield {"gap": {"epoch": entry.epoch, "from": entry.first, "to": entry.last}}
            elif page.add(entry):
                for item in page.items():
                    yield item
        for item in page.items():
            yield item

    async def _entries(self, asked: _Args) -> AsyncIterator[dict[str, Any] | Missing]:
        arrivals = self._node.store.arrivals()
        if asked.stream != "telemetry":
            async for row in arrivals.entries(asked.stream, asked.span):
                if isinstance(row, Missing) or asked.takes(row):
                    yield row
            return
        chosen = Chosen(frozenset(asked.devices), frozenset(asked.tags))
        async for part in arrivals.batches(asked.span, self._node.store.aliases(), chosen):
            yield part if isinstance(part, Missing) else entry_of(part)


def entry_of(arrival: Arrival) -> dict[str, Any]:
    """A batch as JSON carries it (values: gateway/lossless.py)."""
    entry: dict[str, Any] = {
        "at": arrival.at,
        "offset": arrival.offset,
        "boot": arrival.boot,
        "ts": arrival.ts,
        "device": arrival.device,
        "tags": arrival.tags,
        "values": [lossless.to_json(value) for value in arrival.values],
        "seq": arrival.seq,
        "epoch": arrival.epoch,
    }
    if arrival.quality is not None:
        entry["quality"] = [Quality(code).text for code in arrival.quality]
    return entry


class _Page:
    """Entries that go out together."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._readings = 0

    def add(self, entry: dict[str, Any]) -> bool:
        """True when the page is full."""
        self._entries.append(entry)
        self._readings += len(entry.get("tags", ()))
        return self._readings >= PAGE_READINGS or len(self._entries) >= PAGE_ENTRIES

    def items(self) -> list[dict[str, Any]]:
        """The page as an item, none when it is empty; a new page begins."""
        entries, self._entries, self._readings = self._entries, [], 0
        return [{"entries": entries}] if entries else []
