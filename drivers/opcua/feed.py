"""From values of the server to batches: grouped by device and millisecond, one publish for each.

What is plain - a number of the tag's own kind, good, finite - costs a few lookups; everything else takes `_careful`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from drivers.opcua import status as states
from drivers.opcua.address import Selector
from drivers.opcua.decoding import Item, unix_ms
from drivers.opcua.values import converter, plain_types
from gateway.driver import DriverContext
from gateway.model import Access, Block, Device, Tag, Value

_NOTHING: frozenset[int] = frozenset()


class Feed:
    """The tags of a channel by handle (their place in `tags`), and the batches that are being filled.

    `overflows`: values that the server says it dropped. `values`: what came.
    """

    def __init__(self, ctx: DriverContext, selectors: Callable[[Tag], Sequence[Selector]]) -> None:
        self._ctx = ctx
        self.tags: list[Tag] = []
        self.overflows = 0
        self.values = 0
        self._blocks: list[Block] = []
        self._device: list[int] = []
        self._place: list[int] = []
        self._plain_types: list[frozenset[int]] = []
        self._plain: list[frozenset[int]] = []
        self._convert: list[Any] = []
        self._remarks: dict[int, str] = {}
        self.vanished: set[int] = set()
        """Handles whose nodes the server says are gone; whoever looks empties it."""
        self._polled: dict[int, tuple[int, int, Any]] = {}
        for device in ctx.devices:
            self._add(device, selectors)
        self._handles = {tag: handle for handle, tag in enumerate(self.tags)}
        self._groups: dict[int, tuple[list[int], list[Value], dict[int, int]]] = {}
        self.take: Item = self._make_take()

    def _add(self, device: Device, selectors: Callable[[Tag], Sequence[Selector]]) -> None:
        tags = [tag for tag in device.tags if tag.spec.virtual is None and tag.spec.access is not Access.WRITE]
        number = len(self._blocks)
        self._blocks.append(Block(device.id, tags))
        for place, tag in enumerate(tags):
            picks = selectors(tag)
            self.tags.append(tag)
            self._device.append(number)
            self._place.append(place)
            self._plain_types.append(plain_types(tag.spec, picks))
            self._convert.append(converter(tag.spec, picks))
        self._plain = list(self._plain_types)

    def handle(self, tag: Tag) -> int:
        return self._handles[tag]

    def _make_take(self) -> Item:
        """The hot function: called for every value, so everything it needs is at hand."""
        plain, devices, places, groups = self._plain, self._device, self._place, self._groups
        careful, count = self._careful, max(len(self._blocks), 1)

        def take(handle: int, kind: int, value: Any, status: int, ticks: int) -> None:
            if status == 0 and kind in plain[handle] and value - value == 0.0:
                code = 0
            else:
                value, code = careful(handle, kind, value, status)
            key = ticks // 10_000 * count + devices[handle]
            group = groups.get(key)
            if group is None:
                group = groups[key] = ([], [], {})
            if code:
                group[2][len(group[1])] = code
            group[0].append(places[handle])
            group[1].append(value)

        return take

    def polled(self, handles: Sequence[int]) -> Item:
        """For the answer of a read: its places are these handles. A value that is the same as at the last poll, with
        the same time, is no reading: an old value gets no new time stamp.
        """
        known, take, bad = self._polled, self.take, states.is_bad

        def tell(place: int, kind: int, value: Any, status: int, ticks: int) -> None:
            handle = handles[place]
            now = (0, status, None) if bad(status) else (ticks, status, value)
            before = known.get(handle)
            if before is not None and now == before and (ticks or bad(status)):
                return
            known[handle] = now
            take(handle, kind, value, status, ticks)

        return tell

    def fail(self, handle: int, code: int, why: str = "") -> None:
        """The server refuses this node. Told once per reason; its value is null from now on."""
        text = why or states.words(code)
        if self._remarks.get(handle) == text:
            return
        self._remark(handle, text)
        block, place = self._blocks[self._device[handle]], self._place[handle]
        self._ctx.publish(block, [None], index=[place], quality=[states.quality_of(code)])

    def flush(self) -> int:
        """Publish what was taken, oldest first. Returns how many values."""
        groups = self._groups
        if not groups:
            return 0
        count, total, now = max(len(self._blocks), 1), 0, self._ctx.clock.wall_ms()
        for key in sorted(groups) if len(groups) > 1 else list(groups):
            index, values, codes = groups[key]
            device = key % count
            ms = unix_ms(key // count * 10_000)
            total += len(values)
            self._publish(self._blocks[device], ms if ms > 0 else now, index, values, codes)
        groups.clear()
        self.values += total
        return total

    def _publish(self, block: Block, ts: int, index: list[int], values: list[Value], codes: dict[int, int]) -> None:
        quality = [codes.get(i, 0) for i in range(len(values))] if codes else None
        if len(index) == 1 or len(set(index)) == len(index):
            self._ctx.publish(block, values, ts=ts, index=index, quality=quality)
            return
        # several values of one tag within a millisecond: a batch for each
        while index:
            seen: set[int] = set()
            now: list[int] = []
            later: list[int] = []
            for i, place in enumerate(index):
                (later if place in seen else now).append(i)
                seen.add(place)
            self._ctx.publish(
                block,
                [values[i] for i in now],
                ts=ts,
                index=[index[i] for i in now],
                quality=None if quality is None else [quality[i] for i in now],
            )
            index, values = [index[i] for i in later], [values[i] for i in later]
            quality = None if quality is None else [quality[i] for i in later]

    def _careful(self, handle: int, kind: int, value: Any, status: int) -> tuple[Value, int]:
        """A value that is not plain: another type, a status, a transform, a number that is none."""
        if states.has_overflowed(status):
            self.overflows += 1
        if states.is_bad(status):
            if states.is_gone(status):
                self.vanished.add(handle)
            self._remark(handle, states.words(status))
            return None, states.quality_of(status)
        shown, code, why = self._convert[handle](kind, value)
        doubt = states.words(status)
        self._remark(handle, why or doubt)
        return shown, max(code, states.quality_of(status))

    def _remark(self, handle: int, text: str) -> None:
        """Say why, or take it back; while a tag has a remark its values all come this way."""
        if text == self._remarks.get(handle, ""):
            return
        if text:
            self._remarks[handle] = text
            self._plain[handle] = _NOTHING
        else:
            self._remarks.pop(handle, None)
            self._plain[handle] = self._plain_types[handle]
        self._ctx.explain(self.tags[handle], text)

    def forget_polls(self) -> None:
        """The link was down: the next poll of each tag is a reading."""
        self._polled.clear()
        self._groups.clear()

    def forget_failures(self) -> None:
        """The device was away, its tags are bad for that: what is still refused is told anew."""
        for handle in list(self._remarks):
            self._remark(handle, "")


__all__ = ["Feed"]
