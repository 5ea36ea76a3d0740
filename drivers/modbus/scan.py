"""Looking for units, for what they are, and for what can be read of them. Only reads; one transaction a step.

Functions: V1.1b3 6.1 to 6.4 (reads), 6.13 (report server id), 6.21 (device identification). SunSpec: the marker
"SunS" at one of three well-known addresses, then models with id and length one after the other.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from drivers.modbus.address import LAST_OFFSET, Address, AddressError, Range, Table, parse_address, parse_range
from drivers.modbus.guess import guess, rows
from drivers.modbus.owed import Unsettled
from drivers.modbus.requests import READ_CODE
from drivers.modbus.wire import Wire
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused

Finding = Mapping[str, Any]

SUNSPEC_BASES = (40000, 50000, 0)
_SUNS = b"SunS"
_END_OF_MODELS = 0xFFFF
_MOST_MODELS = 64
_LAST_UNIT = 255
_BLOCK, _BIT_BLOCK = 100, 1000
_MOST_REGISTERS = 20_000
_UNITS = re.compile(r"([0-9]{1,99})(?:-([0-9]{1,99}))?")
_IDENTIFY = bytes((14, 1, 0))
_USUAL = (
    Range(Table.HOLDING, 0, 199),
    Range(Table.INPUT, 0, 199),
    Range(Table.COIL, 0, 99),
    Range(Table.DISCRETE, 0, 99),
)
_WORDS = frozenset({"device", "units", "ranges", "address", "count", "address_base", "timeout_s", "identify"})
_OBJECTS = ("maker", "product", "version")
_PLACE = struct.Struct(">HH")
_LOOK_AGAIN_S = 0.05
_SETTLE_S = 30.0


class Options(Struct, frozen=True):
    """What to look for. Times in seconds."""

    units: tuple[int, ...]
    ranges: tuple[Range, ...]
    timeout_s: float
    identify: bool


def options_of(given: Mapping[str, Any], *, serial: bool) -> Options:
    """Read the words of `fieldpost scan`. Raises ValueError."""
    if unknown := sorted(set(given) - _WORDS):
        raise ValueError(f"a scan of Modbus does not know {', '.join(map(str, unknown))}")
    wanted = given.get("units")
    units = _units(str(wanted) if wanted is not None else "1-247" if serial else "1-10,255")
    texts, base = given.get("ranges"), given.get("address_base", 0)
    if not isinstance(base, int):
        raise ValueError("address_base is 0 or 1")  # noqa: TRY004 - one class for every wrong word
    if texts is not None and not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise ValueError("ranges are a list of texts")
    ranges: tuple[Range, ...] = _USUAL
    try:
        if given.get("address") is not None:
            ranges = (_place(str(given["address"]), given.get("count", 1), base),)
        elif texts is not None:
            ranges = tuple(parse_range(text, base) for text in texts)
    except AddressError as error:
        raise ValueError(f"{error} ({error.hint})" if error.hint else str(error)) from None
    if sum(each.last - each.first + 1 for each in ranges) > _MOST_REGISTERS:
        raise ValueError(f"ranges of more than {_MOST_REGISTERS} registers in all take too long")
    timeout = given.get("timeout_s", 0.3)
    if not isinstance(timeout, int | float) or not 0.01 <= timeout <= 10:
        raise ValueError("the time-out of a scan is 10 ms to 10 s")
    return Options(units, ranges, float(timeout), bool(given.get("identify", True)))


def _place(text: str, count: object, base: int) -> Range:
    """`count` registers or bits from an address in any form on."""
    if not isinstance(count, int) or not 1 <= count <= _BIT_BLOCK:
        raise ValueError(f"a count is 1 to {_BIT_BLOCK}")
    address = parse_address(text, base)
    if address.bit is not None:
        raise ValueError(f"{address} is one bit: read it with `--type bool`")
    return Range(address.table, address.offset, min(address.offset + count - 1, LAST_OFFSET))


def _units(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        match = _UNITS.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part[:20]!r} is no unit id: write 1, 1-10 or 1-10,255")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise ValueError(f"unit ids {part} run backwards: write {high}-{low}")
        if not 1 <= low <= high <= _LAST_UNIT:  # before a list of them is made
            raise ValueError("unit ids are 1 to 255; 0 is the broadcast address")
        found += range(low, high + 1)
    return tuple(dict.fromkeys(found))


class Scan:
    """One scan on one wire. `forbidden`: ranges that are never asked of a unit, `common` of none."""

    def __init__(
        self,
        wire: Wire,
        options: Options,
        forbidden: Mapping[int, Sequence[Range]],
        common: Sequence[Range] = (),
    ) -> None:
        self._wire = wire
        self._options = options
        self._forbidden = forbidden
        self._common = common
        self._present: list[int] = []
        self._late: list[int] = []
        self._done = 0
        self._of = 2 * len(options.units)

    async def findings(self) -> AsyncIterator[Finding]:
        """What is found, with `{"done", "of"}` after each step. Raises LinkLost."""
        async for finding in self._presence():
            yield finding
        for unit in self._present:
            if unit in self._late:
                async for finding in self._settled(unit):
                    yield finding
            if self._options.identify:
                async for finding in self._identity(unit):
                    yield finding
            for wanted in self._options.ranges:
                async for finding in self._range(unit, wanted):
                    yield finding

    async def _presence(self) -> AsyncIterator[Finding]:
        """Who is there. Silent units are asked once more when all were asked: an answer may be late, or lost."""
        known = set(self._wire.lateness)
        silent: list[int] = []
        for unit in self._options.units:
            answer = await self._is_there(unit)
            if answer is not None:
                self._of -= 1
                yield self._found(unit, answer)
            else:
                silent.append(unit)
            yield self._progress()
        for unit in silent:
            answer = await self._is_there(unit, again=True)
            if answer is not None:
                self._late.append(unit)
                yield self._found(unit, answer)
            yield self._progress()
        for unit in silent:
            if unit not in self._late and unit in self._wire.lateness and unit not in known:
                self._late.append(unit)
                yield self._found(unit, "late")

    def _found(self, unit: int, answer: str) -> Finding:
        self._of += self._steps(unit)
        self._present.append(unit)
        return {"unit": unit, "answers": answer}

    def _progress(self) -> Finding:
        self._done += 1
        self._of = max(self._of, self._done)
        return {"done": self._done, "of": self._of}

    def _steps(self, unit: int) -> int:
        """Steps that a unit takes when nothing is refused: numbers are looked at twice."""
        bases = sum(not self._is_forbidden(unit, Table.HOLDING, base, base + 2) for base in SUNSPEC_BASES)
        ranges = self._options.ranges
        blocks = sum(len(_blocks(wanted)) * (1 if wanted.table.is_bits else 2) for wanted in ranges)
        return blocks + ((1 + bases) if self._options.identify else 0)

    async def _settled(self, unit: int) -> AsyncIterator[Finding]:
        """Wait until no answer of the presence question can be taken for another's."""
        end = asyncio.get_running_loop().time() + _SETTLE_S
        while asyncio.get_running_loop().time() < end:
            try:
                await self._ask_first(unit)
            except LinkLost:
                raise
            except (DeviceUnavailable, BadFrame):
                await asyncio.sleep(_LOOK_AGAIN_S)
                yield {"done": self._done, "of": self._of}
                continue
            except RequestRefused:
                pass
            return

    async def _is_there(self, unit: int, *, again: bool = False) -> str | None:
        """How a unit answers, None when it does not. An exception is an answer; "no such unit" of a gateway is not."""
        try:
            return await self._ask_first(unit, any_age=again)
        except RequestRefused as error:
            return str(error)
        except LinkLost:
            raise
        except (DeviceUnavailable, BadFrame):
            return None

    async def _ask_first(self, unit: int, *, any_age: bool = False) -> str | None:
        """Read the first place that may be read. None when there is none. `any_age`: a late answer is one, too."""
        place = self._first(unit)
        if place is None:
            return None
        await self._read(unit, *place, 1, any_age=any_age)
        return "data"

    def _first(self, unit: int) -> tuple[Table, int] | None:
        """What is wanted first of a unit and not forbidden; any holding register where nothing is wanted."""
        for wanted in self._options.ranges or (Range(Table.HOLDING, 0, LAST_OFFSET),):
            for place in range(wanted.first, wanted.last + 1):
                if not self._is_forbidden(unit, wanted.table, place, place + 1):
                    return wanted.table, place
        return None

    async def _read(self, unit: int, table: Table, start: int, count: int, *, any_age: bool = False) -> bytes:
        size = (count + 7) // 8 if table.is_bits else 2 * count
        place = _PLACE.pack(start, count)
        limit = self._options.timeout_s
        raw = await self._wire.exchange(unit, READ_CODE[table], place, size, limit_s=limit, any_age=any_age)
        if len(raw) != size + 1:
            raise BadFrame("an answer of another length")
        return raw[1:]

    async def _try(self, unit: int, table: Table, start: int, count: int) -> bytes | None:
        """The data, None when it cannot be read."""
        try:
            return await self._read(unit, table, start, count)
        except LinkLost:
            raise
        except (RequestRefused, DeviceUnavailable, BadFrame):
            return None

    def _is_forbidden(self, unit: int, table: Table, start: int, end: int) -> bool:
        banned = (*self._common, *self._forbidden.get(unit, ()))
        return any(each.table is table and each.overlaps(start, end) for each in banned)

    # --- what it is ---------------------------------------------------------------------------------------------

    async def _identity(self, unit: int) -> AsyncIterator[Finding]:
        try:
            raw = await self._wire.exchange(unit, 43, _IDENTIFY, limit_s=self._options.timeout_s)
            if objects := _objects(raw):
                yield {"unit": unit, "identity": objects}
        except LinkLost:
            raise
        except (RequestRefused, DeviceUnavailable, BadFrame):
            pass
        yield self._progress()
        for base in SUNSPEC_BASES:
            if not self._is_forbidden(unit, Table.HOLDING, base, base + 2):
                data = await self._try(unit, Table.HOLDING, base, 2)
                yield self._progress()
                if data == _SUNS:
                    async for finding in self._models(unit, base):
                        yield finding
                    return

    async def _models(self, unit: int, base: int) -> AsyncIterator[Finding]:
        at, models = base + 2, []
        for _ in range(_MOST_MODELS):
            if at >= LAST_OFFSET or self._is_forbidden(unit, Table.HOLDING, at, at + 2):
                break
            data = await self._try(unit, Table.HOLDING, at, 2)
            yield self._progress()
            if data is None:
                break
            model, length = struct.unpack(">HH", data)
            if model == _END_OF_MODELS:
                break
            models.append({"model": model, "base": at, "length": length})
            at += 2 + length
        yield {"unit": unit, "sunspec": {"base": base, "models": models}}

    # --- what can be read ---------------------------------------------------------------------------------------

    async def _range(self, unit: int, wanted: Range) -> AsyncIterator[Finding]:
        """Stretches that can be read, found by halving what is refused."""
        todo = _blocks(wanted)
        stretch: list[tuple[int, bytes]] = []
        at = wanted.first
        while todo:
            start, end = todo.pop(0)
            data = None
            try:
                if not self._is_forbidden(unit, wanted.table, start, end):
                    data = await self._read(unit, wanted.table, start, end - start)
            except LinkLost:
                raise
            except Unsettled:
                await asyncio.sleep(_LOOK_AGAIN_S)
                todo.insert(0, (start, end))
                yield {"done": self._done, "of": self._of}
                continue
            except (RequestRefused, DeviceUnavailable, BadFrame):
                pass
            yield self._progress()
            if data is not None:
                stretch.append((start, data))
                at = end
                continue
            if end - start > 1:
                middle = (start + end) // 2
                todo[:0] = [(start, middle), (middle, end)]
                self._of += 2
                continue
            if stretch:
                async for finding in self._stretch(unit, wanted.table, stretch, at):
                    yield finding
                stretch = []
        if stretch:
            async for finding in self._stretch(unit, wanted.table, stretch, at):
                yield finding

    async def _stretch(
        self, unit: int, table: Table, parts: list[tuple[int, bytes]], end: int
    ) -> AsyncIterator[Finding]:
        first = parts[0][0]
        place = {"unit": unit, "table": table.value, "first": first, "last": end - 1}
        if table.is_bits:
            bits = [data[i // 8] >> i % 8 & 1 for start, data in parts for i in range(_count(parts, start, end))]
            yield {**place, "bits": "".join(map(str, bits))}
            return
        words = [word for _, data in parts for word in struct.unpack(f">{len(data) // 2}H", data)]
        again: list[int] | None = []
        for start, data in parts:  # a second look shows what moves
            later = await self._try(unit, table, start, len(data) // 2)
            yield self._progress()
            if later is None or again is None:
                again = None
                break
            again += struct.unpack(f">{len(later) // 2}H", later)
        latest = again or words
        yield {
            **place,
            "address": str(Address(table, first)),
            "rows": list(rows(first, latest, words if again else None)),
            "guess": await asyncio.to_thread(guess, first, latest),  # takes a second for thousands of registers
        }


def _blocks(wanted: Range) -> list[tuple[int, int]]:
    """A range in requests: first and behind the last."""
    block = _BIT_BLOCK if wanted.table.is_bits else _BLOCK
    starts = range(wanted.first, wanted.last + 1, block)
    return [(start, min(start + block, wanted.last + 1)) for start in starts]


def _count(parts: list[tuple[int, bytes]], start: int, end: int) -> int:
    """Bits of the part that begins at `start`."""
    following = [other for other, _ in parts if other > start]
    return (min(following) if following else end) - start


def _objects(raw: bytes) -> dict[str, str]:
    """The objects of a device identification: maker, product, version."""
    found: dict[str, str] = {}
    at = 6
    for _ in range(raw[5] if len(raw) > 5 else 0):
        if at + 2 > len(raw):
            break
        number, size = raw[at], raw[at + 1]
        text = raw[at + 2 : at + 2 + size].decode("latin-1").strip("\0 ")
        if number < len(_OBJECTS) and text:
            found[_OBJECTS[number]] = text
        at += 2 + size
    return found
