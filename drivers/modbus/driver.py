"""The Modbus driver: plans, reads and writes; the kernel owns the schedule and the wire."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from drivers.modbus.address import Range
from drivers.modbus.coding import text_bytes
from drivers.modbus.learning import SPLITTABLE, Investigation, Lessons
from drivers.modbus.opening import open_wire
from drivers.modbus.point import limits_of, point_of
from drivers.modbus.requests import Detail, describe_request, plan_requests, split_request
from drivers.modbus.settings import ChannelSettings, DeviceSettings
from drivers.modbus.transports import Line, place_of
from drivers.modbus.wire import Wire
from drivers.modbus.words import TEXTS
from drivers.modbus.writing import RegisterWriter
from gateway.driver import Ask, Columns, DriverContext, Frame, PollingDriver, Request
from gateway.errors import LinkLost, RequestRefused, WriteRejected
from gateway.inverse import written_bits
from gateway.model import Access, Device, Tag, TagSpec, Value
from gateway.transform import is_exponent, to_raw, with_exponent

_FORBIDDEN = 403
_MOST = {"registers": 125, "bits": 2000}


class ModbusDriver(PollingDriver):
    """One connection or serial line and the units behind it."""

    def __init__(self) -> None:
        self._wire: Wire | None = None
        self._writer: RegisterWriter | None = None
        self._ctx: DriverContext | None = None
        self._listener: Callable[[Frame], None] | None = None

    async def connect(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        for device in ctx.devices:
            self._tell(ctx, device)
        if self._wire is None:
            self._wire = open_wire(ctx.channel.settings, ctx.channel.timeout_s)
            self._wire.on_late = self._answered_late
            self.trace(self._listener)
            self._writer = RegisterWriter(self._wire)
        await self._wire.connect()

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    async def run(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        await super().run(ctx)

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        ctx = self._context()
        facts = self._lessons(ctx).of(device)
        most = {kind: facts.most(kind, _MOST[kind]) for kind in facts.limits}
        return plan_requests(ctx.channel, device, tags, facts.ranges(), facts.gaps(), most)

    async def read(self, request: Request) -> Columns:
        detail: Detail = request.detail
        wire = self._connected()
        return detail.decode(await wire.read(detail.unit, detail.code, detail.start, detail.count, detail.size))

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """Write one tag. Whatever does not fit is rejected before anything reaches the wire."""
        settings: ChannelSettings = self._context().channel.settings
        unit: int = device.spec.settings.unit_id
        if unit == 0:
            raise WriteRejected("unit 0 is the broadcast address and is never written", code=_FORBIDDEN)
        point = point_of(settings, device.spec, tag.spec)
        if not point.address.table.is_writable:
            raise WriteRejected(f"{point.address} is read-only", code=_FORBIDDEN)
        limits = limits_of(settings, device.spec.settings)
        if any(
            r.table is point.address.table and r.overlaps(point.address.offset, point.end) for r in limits.forbidden
        ):
            raise WriteRejected(f"{point.address} is forbidden", code=_FORBIDDEN)
        kind = tag.spec.type
        if kind in TEXTS:
            raw: Any = text_bytes(tag.path, kind, value, point.length)
        else:
            raw = to_raw(await self._with_factor(device, tag), value)
        self._connected()
        assert self._writer is not None
        bits = None if kind in TEXTS else written_bits(tag.spec)
        if bits is None:
            await self._writer.write(unit, point, kind, raw)
        else:
            await self._writer.write_bits(unit, point, int(raw), bits)

    async def _with_factor(self, device: Device, tag: Tag) -> TagSpec:
        """The tag's spec with the scale that its factor tag says now."""
        name = tag.spec.scale_from
        factor = device.tag(name) if name is not None else None
        if factor is None:
            return tag.spec
        requests = self.plan(device, [factor])
        if not requests:
            raise WriteRejected(f"{tag.path}: the device refuses {factor.path}, which holds its scale factor", code=422)
        columns = await self.read(requests[0])
        exponent = columns.values[0]
        if columns.quality is not None or not is_exponent(exponent):
            raise WriteRejected(f"{tag.path}: {factor.path} holds no scale factor ({exponent!r})", code=422)
        return with_exponent(tag.spec, int(exponent))  # type: ignore[arg-type]

    def split(self, request: Request, error: Exception) -> Sequence[Request]:
        if isinstance(error, RequestRefused) and error.code in SPLITTABLE:
            return split_request(request)
        return ()

    async def investigate(self, device: Device, request: Request, error: Exception, ask: Ask) -> bool:
        """Find out what of a failing request the device refuses, or how much it answers at once."""
        ctx = self._context()

        def others() -> Sequence[Request]:
            brought = set(request.block.tags)
            polled = (tag for tag in device.tags if tag.spec.access is not Access.WRITE and not tag.spec.on_demand)
            return self.plan(device, [tag for tag in polled if tag not in brought])

        look = Investigation(self._lessons(ctx), device, ask, others)
        found = await look.of(request, error, ctx.clock.wall_ms())
        if found:
            self._tell(ctx, device)
        return found

    def learned(self, device: Device) -> Sequence[Mapping[str, Any]]:
        return list(self._lessons(self._context()).rows(device))

    def forget(self, device: Device) -> int:
        ctx = self._context()
        ctx.clear("device_refuses", device.id)
        return self._lessons(ctx).forget(device)

    def _tell(self, ctx: DriverContext, device: Device) -> None:
        """An issue for what a person must know: tags that will not come."""
        facts, settings = self._lessons(ctx).of(device), ctx.channel.settings
        points = [point_of(settings, device.spec, tag.spec) for tag in device.tags] if facts.refused else []
        places = [
            str(place)
            for place in facts.ranges()
            if any(place.table is p.address.table and place.overlaps(p.address.offset, p.end) for p in points)
        ]
        if places:
            more = f" and {len(places) - 5} more" if len(places) > 5 else ""
            repair = f"correct the addresses, or after a change of the device: fieldpost reads {device.id} --forget"
            ctx.issue("device_refuses", f"refuses {', '.join(places[:5])}{more}", repair, device.id)

    @staticmethod
    def _lessons(ctx: DriverContext) -> Lessons:
        settings: ChannelSettings = ctx.channel.settings
        where = settings.url or str((settings.serial or {}).get("port"))
        return Lessons(ctx.memory, where)

    def trace(self, listener: Callable[[Frame], None] | None) -> None:
        self._listener = listener
        if self._wire is None or self._ctx is None:
            return
        if listener is None:
            self._wire.tap = None
        else:
            from drivers.modbus.trace import Tracer

            self._wire.tap = Tracer(self._wire.framing, self._ctx.clock, listener)

    def owns_frame(self, device: Device, frame: Frame) -> bool:
        return bool(frame.unit in {-1, device.spec.settings.unit_id})

    async def scan(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        from drivers.modbus.scan import Scan, options_of

        ctx = self._context()
        settings: ChannelSettings = ctx.channel.settings
        own = next((each for each in ctx.devices if each.id == options.get("device")), None)
        if own is not None:  # what one device holds: its unit, its address base
            base = own.spec.settings.address_base
            base = settings.address_base if base is None else base
            options = {**options, "units": str(own.spec.settings.unit_id), "address_base": base}
        wanted = options_of(options, serial=settings.serial is not None)
        forbidden: dict[int, list[Range]] = {}
        for device in ctx.devices:
            banned = limits_of(settings, device.spec.settings).forbidden
            forbidden.setdefault(device.spec.settings.unit_id, []).extend(banned)
        common = limits_of(settings, DeviceSettings()).forbidden
        async for finding in Scan(self._connected(), wanted, forbidden, common).findings():
            yield finding

    def cost(self, request: Request) -> float:
        settings: ChannelSettings = self._context().channel.settings
        if settings.serial is None:
            return 0.0
        from drivers.modbus.bustime import read_seconds

        place = place_of(settings)
        return read_seconds(place, request.detail.size) if isinstance(place, Line) else 0.0

    def describe(self, request: Request) -> Mapping[str, Any]:
        return describe_request(request)

    @property
    def foreign_frames(self) -> int:
        """Answers that belonged to no request in flight; never values."""
        return 0 if self._wire is None else self._wire.foreign

    def counters(self) -> Mapping[str, int]:
        return {"foreign_frames": self.foreign_frames, "late_answers": 0 if self._wire is None else self._wire.late}

    def _answered_late(self, unit: int, seconds: float) -> None:
        """A unit needs more time than it is given: say so, since nobody sees it in the values."""
        ctx = self._context()
        needed = f"{math.ceil(seconds * 12) * 100}ms"
        for device in ctx.devices:
            if device.spec.settings.unit_id == unit:
                text = f"answered {seconds:.2f} s after it was asked; the time-out is {ctx.channel.timeout_s:g} s"
                ctx.issue("answers_late", text, f"set `timeout: {needed}` for channel {ctx.channel.id}", device.id)

    def _context(self) -> DriverContext:
        if self._ctx is None:
            raise RuntimeError("the driver has no context yet: call connect or run first")
        return self._ctx

    def _connected(self) -> Wire:
        if self._wire is None:
            raise LinkLost("not connected")
        return self._wire
