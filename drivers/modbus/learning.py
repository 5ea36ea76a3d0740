"""What a device turned out to be able to do: registers it refuses, and the largest block it answers.

Learned from exceptions 2 and 3 (illegal data address, illegal data value), and from silence only while a smaller read
of the same unit is answered, before and after. It is about the device, not about a request: other tags and other
plans profit from it, and no read covers a refused register again. Kept in the channel's memory with date and reason
until it is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from drivers.modbus.address import Address, Range, Table
from drivers.modbus.requests import Detail, lone_requests, probe_request, split_request
from gateway.driver import Ask, Memory, Request
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused
from gateway.model import Device

SPLITTABLE = {2, 3}
_KEY = "learned:"
_HOPELESS = 8
"""So many single places of a refused request are tried; when none works, the device refuses everything."""
_WITNESSES = 2
_MOST_STEPS = 64


class Facts(Struct, frozen=True):
    """What is known of one device. Rows: `table`, `first`, `last` or `registers`/`bits`, `reason`, `ts`.

    A row with `gap` says that something in a range that no tag lay on is refused: no read goes over it, but a tag
    that is placed there later may well be legal.
    """

    refused: tuple[Mapping[str, Any], ...] = ()
    limits: Mapping[str, Mapping[str, Any]] = {}

    def ranges(self) -> tuple[Range, ...]:
        return tuple(range_of(row) for row in self.refused if not row.get("gap"))

    def gaps(self) -> tuple[Range, ...]:
        return tuple(range_of(row) for row in self.refused if row.get("gap"))

    def most(self, kind: str, configured: int) -> int:
        """The largest block, `kind` registers or bits."""
        row = self.limits.get(kind)
        return configured if row is None else min(configured, int(row["most"]))


NOTHING = Facts()


def range_of(row: Mapping[str, Any]) -> Range:
    return Range(Table(row["table"]), row["first"], row["last"])


class Lessons:
    """The facts of a channel's devices in its memory. `identity` says which unit they were learned from: another
    address or unit id is another device.
    """

    def __init__(self, memory: Memory, where: str) -> None:
        self._memory = memory
        self._where = where

    def of(self, device: Device) -> Facts:
        row = self._memory.get(_KEY + device.id)
        if not isinstance(row, dict) or row.get("unit") != self._identity(device):
            return NOTHING
        return Facts(tuple(row.get("refused", ())), row.get("limits", {}))

    def add_refused(self, device: Device, places: Sequence[Range], reason: str, ts: int, *, gap: bool = False) -> bool:
        """Whether any of it is new."""
        facts = self.of(device)
        known = facts.gaps() if gap else facts.ranges()
        new: list[Mapping[str, Any]] = [
            {"table": place.table.value, "first": place.first, "last": place.last, "reason": reason, "ts": ts}
            for place in dict.fromkeys(places)
            if place not in known
        ]
        if gap:
            new = [{**row, "gap": True} for row in new]
        if new:
            self._put(device, Facts((*facts.refused, *new), facts.limits))
        return bool(new)

    def add_limit(self, device: Device, kind: str, most: int, reason: str, ts: int) -> None:
        facts = self.of(device)
        row = {"most": min(most, facts.most(kind, most)), "reason": reason, "ts": ts}
        self._put(device, Facts(facts.refused, {**facts.limits, kind: row}))

    def forget(self, device: Device) -> int:
        facts = self.of(device)
        self._memory.delete(_KEY + device.id)
        return len(facts.refused) + len(facts.limits)

    def rows(self, device: Device) -> Iterator[Mapping[str, Any]]:
        """For people: what, reason, when."""
        facts = self.of(device)
        for row in facts.refused:
            place = range_of(row)
            what = f"{Address(place.table, place.first)} is refused"
            if row.get("gap"):
                what = f"no read may go over {place}"
            elif place.last > place.first:
                what = f"{place} are refused"
            yield {"what": what, "reason": row["reason"], "ts": row["ts"]}
        for kind, row in facts.limits.items():
            yield {"what": f"at most {row['most']} {kind} a request", "reason": row["reason"], "ts": row["ts"]}

    def _put(self, device: Device, facts: Facts) -> None:
        row = {"unit": self._identity(device), "refused": list(facts.refused), "limits": dict(facts.limits)}
        self._memory.put(_KEY + device.id, row)

    def _identity(self, device: Device) -> str:
        return f"{self._where}#{device.spec.settings.unit_id}"


class _Enough(Exception):
    """An investigation has taken its share of the wire."""


class Investigation:
    """Finds out why a request fails: asks smaller and smaller ones until the culprit is alone.

    `others`: requests for other tags of the device, which show whether it answers anything.
    """

    def __init__(self, lessons: Lessons, device: Device, ask: Ask, others: Callable[[], Sequence[Request]]) -> None:
        self._lessons = lessons
        self._device = device
        self._ask = ask
        self._others = others
        self._steps = 0

    async def of(self, request: Request, error: Exception, ts: int) -> bool:
        """Whether something was learned. Raises LinkLost; anything else ends the investigation without a result."""
        self._silent = not isinstance(error, RequestRefused)
        if not self._silent and getattr(error, "code", 0) not in SPLITTABLE:
            return False
        try:
            self._witness = await (self._small(request) if self._silent else self._any(request))
            if self._witness is None:
                return False
            culprits, good = await self._cut(request)
            if culprits:
                places = [place for culprit in culprits for place in await self._places(culprit)]
                return self._lessons.add_refused(self._device, places, str(error), ts)
            return await self._gap_or_limit(request, good, str(error), ts)
        except LinkLost:
            raise
        except (DeviceUnavailable, BadFrame, RequestRefused, _Enough):
            return False

    async def _small(self, request: Request) -> Request | None:
        """Silence may be the device's or the cable's: it is the request's only if a small read is answered now."""
        detail: Detail = request.detail
        for small in (probe_request(request, detail.start, 1), *lone_requests(request, 1)):
            if detail.count > 1 and await self._answers(small):
                return small
        return None

    async def _any(self, request: Request) -> Request | None:
        """A device that refuses all it is asked, as some do while they start, is not worth more."""
        for piece in lone_requests(request, _HOPELESS) or self._others()[:_WITNESSES]:
            if await self._works(piece):
                return piece
        return None

    async def _answers(self, request: Request) -> bool:
        """Whatever it says: a refusal is no silence."""
        self._steps += 1
        try:
            await self._ask(request)
        except RequestRefused:
            return True
        except LinkLost:
            raise
        except DeviceUnavailable:
            return False
        return True

    async def _works(self, request: Request) -> bool:
        """Whether the device answers. Raises what says nothing about the request."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _Enough
        try:
            await self._ask(request)
        except RequestRefused as error:
            if error.code not in SPLITTABLE:
                raise
            return False
        except LinkLost:
            raise
        except DeviceUnavailable:
            if not self._silent:
                raise
            return False
        return True

    async def _cut(self, request: Request) -> tuple[list[Request], list[Request]]:
        """Requests that fail and cannot be cut, and those that work."""
        culprits: list[Request] = []
        good: list[Request] = []
        todo = split_request(request) or [request]
        try:
            while todo:
                piece = todo.pop(0)
                if await self._works(piece):
                    good.append(piece)
                elif smaller := split_request(piece):
                    todo[:0] = smaller
                elif await self._works_after_all(piece):
                    good.append(piece)
                else:
                    culprits.append(piece)
        except _Enough:
            if not culprits:
                raise  # else the rest is found when the device has been planned anew
        return culprits, good

    async def _works_after_all(self, piece: Request) -> bool:
        """Once more: what is kept must not be a mishap, nor the silence of a device that has died meanwhile."""
        await self._check_witness()
        works = await self._works(piece)
        if not works:
            await self._check_witness()
        return works

    async def _check_witness(self) -> None:
        assert self._witness is not None
        if self._silent and not await self._answers(self._witness):
            raise DeviceUnavailable("nothing is answered any more")

    async def _places(self, culprit: Request) -> list[Range]:
        """The registers of a request that cannot be cut; of a set that is read together those that fail alone."""
        detail: Detail = culprit.detail
        places = list(dict.fromkeys(Range(detail.table, p.address.offset, p.end - 1) for p in detail.points))
        if len(places) == 1 or self._steps + len(places) > _MOST_STEPS:
            return places
        probes = [probe_request(culprit, place.first, place.last + 1 - place.first) for place in places]
        alone = [place for place, probe in zip(places, probes, strict=True) if not await self._works(probe)]
        return alone or places

    async def _gap_or_limit(self, request: Request, good: Sequence[Request], reason: str, ts: int) -> bool:
        """All parts work, the whole does not: something between them, or its length."""
        if await self._works(request):
            return False  # it works after all
        detail: Detail = request.detail
        covered = sorted((piece.detail.start, piece.detail.start + piece.detail.count) for piece in good)
        at = detail.start
        gaps = []
        for start, end in covered:
            if start > at:
                gaps.append((at, start))
            at = max(at, end)
        refused = []
        for start, end in gaps:
            if not await self._works(probe_request(request, start, end - start)):
                refused.append(Range(detail.table, start, end - 1))
        if refused and not self._silent:
            return self._lessons.add_refused(self._device, refused, reason, ts, gap=True)
        most = await self._largest(request, max(piece.detail.count for piece in good))
        kind = "bits" if detail.table.is_bits else "registers"
        why = f"no answer to {detail.count} at once" if self._silent else f"{reason} to {detail.count} at once"
        self._lessons.add_limit(self._device, kind, most, why, ts)
        return True

    async def _largest(self, request: Request, low: int) -> int:
        """The largest count from the request's start on that is answered; `low` is."""
        high = request.detail.count - 1
        while low < high:
            middle = (low + high + 1) // 2
            if await self._works(probe_request(request, request.detail.start, middle)):
                low = middle
            else:
                high = middle - 1
        return low
