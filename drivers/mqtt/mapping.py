"""What one topic brings of one device: compiled once, then values as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from drivers.mqtt.jsonpath import MISSING, Getter, getter, parse
from drivers.mqtt.point import Point
from drivers.mqtt.settings import Time
from drivers.mqtt.times import Reader, is_credible, reader
from drivers.mqtt.values import converter, reason
from gateway.driver import Columns
from gateway.model import Block, Device, Quality, Tag, Value

MOST_ITEMS = 10_000
"""Elements of one message's list."""
_UNCERTAIN = int(Quality.UNCERTAIN)
_STALE = int(Quality.STALE)
_BAD = int(Quality.BAD)

Explain = Callable[[Tag, str], None]


class Clocked:
    """Where a payload says when its values were true."""

    def __init__(self, time: Time) -> None:
        self._get: Getter = getter(parse(time.path))
        self._read: Reader = reader(time.format)

    def __call__(self, document: Any) -> int | None:
        raw = self._get(document)
        return None if raw is MISSING else self._read(raw)


class TopicMap:
    """The tags of one device that come by one topic filter in one format."""

    def __init__(self, device: Device, tags: Sequence[Tag], points: Sequence[Point], explain: Explain) -> None:
        first = points[0]
        self.device = device
        self.filter = first.topic
        self.format = first.format
        self.retained = first.retained
        self.held = first.held
        self.block = Block(device.id, tags)
        self.last_ts = 0
        self.bad_times = 0
        self._explain = explain
        self._explained: set[int] = set()
        self._items = getter(parse(first.items)) if first.items else None
        self._time = Clocked(first.time) if first.time is not None else None
        self._fields = [
            (getter(point.path), converter(tag.spec, point.words)) for tag, point in zip(tags, points, strict=True)
        ]

    def columns(self, document: Any, now: int, late: str) -> Iterator[Columns]:
        """The readings of a document. `late`: what to make of values without a time of their own: stale, or good.

        Raises ValueError when the list of `items` is none, or too long.
        """
        if self._items is None:
            yield from self._one(document, now, late)
            return
        items = self._items(document)
        if not isinstance(items, list):
            raise ValueError("there is no list at the path of `items`")  # noqa: TRY004 - about a payload
        if len(items) > MOST_ITEMS:
            raise ValueError(f"{len(items)} items; at most {MOST_ITEMS} come in one message")
        for item in items:
            yield from self._one(item, now, late)

    def _one(self, document: Any, now: int, late: str) -> Iterator[Columns]:
        values: list[Value] = []
        codes: list[int] = []
        index: list[int] = []
        worst = 0
        for place, (get, convert) in enumerate(self._fields):
            raw = get(document)
            if raw is MISSING:
                continue
            value, code = convert(raw)
            if code >= _BAD:
                self._tell(place, raw, code)
            elif self._explained:
                self._good(place)
            values.append(value)
            codes.append(code)
            index.append(place)
            worst = worst or code
        if not values:
            return
        ts, floor = self._when(document, now, late)
        if floor:
            codes = [max(code, floor) for code in codes]
            worst = floor
        whole = len(values) == len(self._fields)
        yield Columns(values, codes if worst else None, None if whole else index, ts)

    def _when(self, document: Any, now: int, late: str) -> tuple[int | None, int]:
        """The time, None for the arrival's, and the best quality that a value can have then."""
        if self._time is None:
            return None, _STALE if late == "stale" else 0
        ts = self._time(document)
        if ts is None or not is_credible(ts, now):
            self.bad_times += 1
            return None, _STALE if late == "stale" else _UNCERTAIN
        return ts, 0

    def _tell(self, place: int, raw: Any, code: int) -> None:
        tag = self.block.tags[place]
        self._explained.add(place)
        self._explain(tag, reason(tag.spec, raw, code))

    def _good(self, place: int) -> None:
        if place in self._explained:
            self._explained.discard(place)
            self._explain(self.block.tags[place], "")
