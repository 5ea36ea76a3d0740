"""The driver: one request brings all that is due of the machine; nothing of it blocks the loop."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.system.address import Address, parse
from drivers.system.mounts import Mount
from drivers.system.reader import SHORTEST_S, Reader
from drivers.system.tree import Entry, tree
from gateway.driver import Columns, DriverContext, PollingDriver, Request
from gateway.errors import DeviceUnavailable, LinkLost
from gateway.model import Block, Device, Quality, Tag, TagSpec, Value, ValueType
from gateway.threads import Threads
from gateway.transform import RAW, Column, column

_SHARE = 0.8
"""Of the channel's timeout, for what is read: the kernel's own limit must not be met."""
_LAG_S = 0.02
_PER_REQUEST = 500
_OPTIONS = ("at", "depth", "filter")


class _Place:
    """A tag on its way from an address to a value."""

    __slots__ = ("address", "convert", "spec", "tag")

    def __init__(self, tag: Tag) -> None:
        self.tag = tag
        self.spec: TagSpec = tag.spec
        self.address: Address = parse(tag.spec.source.address)
        self.convert: Column | None = column([tag.spec])


class SystemDriver(PollingDriver):
    """Reads the machine that it runs on."""

    def __init__(self) -> None:
        self._ctx: DriverContext | None = None
        self._reader: Reader | None = None
        self._root = Path("/")
        self._files = Threads("system files", 1)
        self._mounts: dict[str, Mount] = {}
        self._counts = {"disk_timeouts": 0, "not_there": 0}

    async def connect(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        self._root = Path(ctx.channel.settings.root)
        if not (self._root / "proc").is_dir():
            raise LinkLost(f"there is no {self._root / 'proc'}")
        reader = Reader(self._root)
        await self._in_thread(reader.look)
        await ctx.clock.sleep(SHORTEST_S)  # so that the first poll has shares of time already
        self._reader = reader

    async def close(self) -> None:
        self._reader = None

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        requests = []
        for first in range(0, len(tags), _PER_REQUEST):
            part = tags[first : first + _PER_REQUEST]
            places = [_Place(tag) for tag in part]
            text = f"{places[0].address} and {len(part) - 1} more" if len(part) > 1 else str(places[0].address)
            requests.append(Request(Block(device.id, part), places, text))
        return requests

    async def read(self, request: Request) -> Columns:
        reader, places = self._reader, request.detail
        if reader is None:
            raise LinkLost("the channel is not connected")
        wanted = {place.address for place in places}
        points = {address.part for address in wanted if address.group == "disk"}
        found, lag, disks = await asyncio.gather(
            self._in_thread(lambda: reader.read(wanted)),
            self._lag(wanted),
            asyncio.gather(*map(self._ask_mount, points)),
        )
        by_point = dict(zip(points, disks, strict=True))
        values, quality = [], []
        for place in places:
            value, code = self._value(place, found, lag, by_point)
            values.append(value)
            quality.append(code)
        return Columns(values, quality if any(quality) else None)

    async def _in_thread(self, what: Any) -> Any:
        """Read files. Raises DeviceUnavailable when that takes too long."""
        try:
            return await self._files.call(what, self._limit_s, lambda: None)
        except TimeoutError as error:
            raise DeviceUnavailable(f"the files of {self._root} were not read in {self._limit_s:g} s") from error
        except OSError as error:
            raise DeviceUnavailable(f"the files of {self._root} cannot be read: {error.strerror}") from error

    @property
    def _limit_s(self) -> float:
        return self._ctx.channel.timeout_s * _SHARE if self._ctx is not None else 1.0

    async def _lag(self, wanted: set[Address]) -> float | None:
        """By how many ms a wake-up is late, where somebody asks."""
        if not any((address.group, address.item) == ("process", "loop_lag") for address in wanted):
            return None
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(_LAG_S)
        return max(0.0, (loop.time() - before - _LAG_S) * 1000.0)

    async def _ask_mount(self, point: str) -> dict[str, Any] | str:
        """Its figures, or why there are none."""
        mount = self._mounts.setdefault(point, Mount(self._root, point))
        try:
            return await mount.ask(self._limit_s)
        except TimeoutError:
            self._counts["disk_timeouts"] += 1
            return f"{point} does not answer"
        except OSError as error:
            return f"{point}: {error.strerror}"

    def _value(
        self, place: _Place, found: Mapping[Address, Any], lag: float | None, disks: Mapping[str, Any]
    ) -> tuple[Value, int]:
        address, why = place.address, ""
        raw: Any
        if address.group == "disk":
            disk = disks[address.part]
            why = disk if isinstance(disk, str) else ""
            raw = None if why else disk[address.item]
        elif (address.group, address.item) == ("clock", "synced"):
            raw = self._ctx is not None and self._ctx.clock.synced()
        elif address.item == "loop_lag":
            raw = lag
        else:
            raw = found.get(address)
        if raw is not None:
            self._explain(place.tag, "")
            return _converted(place, raw)
        if why.endswith("answer"):
            self._explain(place.tag, why)
            return None, Quality.BAD_COMM
        self._counts["not_there"] += 1
        self._explain(place.tag, why or f"this machine does not tell {address}")
        return None, Quality.BAD_CONFIG

    def _explain(self, tag: Tag, why: str) -> None:
        if self._ctx is not None:
            self._ctx.explain(tag, why)

    def counters(self) -> Mapping[str, int]:
        """`disk_timeouts`: file systems that did not answer; `not_there`: values that this machine does not have."""
        return dict(self._counts)

    async def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """What this machine has; `at` (the beginning of an address), `depth`, `filter` (of the path)."""
        if unknown := options.keys() - set(_OPTIONS):
            raise ValueError(f"there is no option {min(unknown)}; there are {', '.join(_OPTIONS)}")
        at, depth, pattern = str(options.get("at", "")), options.get("depth"), str(options.get("filter", "*"))
        if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
            raise ValueError("depth is a whole number from 1")
        if self._reader is None:
            raise LinkLost("the channel is not connected")
        entries: list[Entry] = await self._in_thread(lambda: tree(self._root))
        now = await self._now(self._reader, {entry.address for entry in entries if entry.address is not None})
        for entry in entries:
            path = "/".join(entry.path)
            below = path.removeprefix(at.strip("/")).strip("/") if path.startswith(at.strip("/")) else None
            if below is None or (depth is not None and below.count("/") >= depth):
                continue
            if fnmatch.fnmatchcase(path, pattern):
                yield entry.view(now)

    async def _now(self, reader: Reader, wanted: set[Address]) -> dict[Address, Any]:
        """What the machine shows now."""
        found: dict[Address, Any] = await self._in_thread(lambda: reader.read(wanted))
        points = {address.part for address in wanted if address.group == "disk"}
        disks = dict(zip(points, await asyncio.gather(*map(self._ask_mount, points)), strict=True))
        for address in wanted:
            if address.group == "disk":
                disk = disks[address.part]
                found[address] = None if isinstance(disk, str) else disk[address.item]
        return found


def _converted(place: _Place, raw: Any) -> tuple[Value, int]:
    """A figure as the tag's type, transformed. What does not fit is bad/range, never wrapped."""
    spec = place.spec
    if spec.type is ValueType.STRING:
        return str(raw), Quality.GOOD
    kind = RAW[spec.type]
    if kind.bits == 1:
        value: Any = bool(raw)
    elif kind.is_float:
        value = float(raw)
    else:
        value = round(raw)
        if not kind.low <= value <= kind.high:
            return None, Quality.BAD_RANGE
    if place.convert is None:
        return value, Quality.GOOD
    values, quality = place.convert([value])
    return values[0], quality[0] if quality is not None else Quality.GOOD
