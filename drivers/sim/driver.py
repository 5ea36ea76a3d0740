"""The simulated driver. Values depend on the boot clock only, so two polls at one instant agree."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from drivers.sim.check import TEXTS, text_value
from drivers.sim.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.driver import Columns, DriverContext, PollingDriver, Request
from gateway.errors import DeviceUnavailable, LinkLost, RequestRefused
from gateway.model import Block, Device, Tag, TagSpec, Value
from gateway.transform import RAW, Column, column, to_raw

_PER_REQUEST = 500
"""Tags in one request: a simulated wire has a frame size too."""


class SimDriver(PollingDriver):
    """Signal generators behind a wire that can fail on purpose."""

    def __init__(self) -> None:
        self._ctx: DriverContext | None = None
        self._random = random.Random(0)  # noqa: S311 - signals, not secrets
        self._asked: dict[str, int] = {}
        self._state: dict[tuple[str, str], float] = {}
        self._open = False
        self._texts: dict[tuple[str, str], Value] = {}

    async def run(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        await super().run(ctx)

    async def connect(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        settings: ChannelSettings = ctx.channel.settings
        self._random.seed(settings.seed)
        self._open = True

    async def close(self) -> None:
        """A wire that is closed answers nothing."""
        self._open = False

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        requests = []
        for first in range(0, len(tags), _PER_REQUEST):
            part = tags[first : first + _PER_REQUEST]
            convert = column([tag.spec for tag in part])
            requests.append(Request(Block(device.id, part), (device, convert), f"{device.id} x {len(part)}"))
        return requests

    async def read(self, request: Request) -> Columns:
        device, convert = request.detail
        if not self._open:
            raise LinkLost("the simulated wire is closed")
        await self._pretend(device)
        return self._columns(request.block, convert)

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """Keep the value: only constants can be written (checked at load)."""
        if tag.spec.type in TEXTS:
            await self._pretend(device)
            self._texts[tag.device, tag.path] = value
            return
        raw = to_raw(tag.spec, value)
        await self._pretend(device)
        self._state[tag.device, tag.path] = raw

    def _columns(self, block: Block, convert: Column | None) -> Columns:
        now = self._context().clock.mono()
        raws = [self._raw(tag, now) for tag in block.tags]
        return Columns(raws) if convert is None else Columns(*convert(raws))

    def _raw(self, tag: Tag, now: float) -> Value:
        if tag.spec.type in TEXTS:
            known = self._texts.get((tag.device, tag.path))
            return text_value(tag.spec.type, tag.spec.source.text) if known is None else known
        return _as_type(tag.spec, self._signal(tag, now))

    async def _pretend(self, device: Device) -> None:
        """Take the wire's time, then fail if the device's switch says so."""
        ctx = self._context()
        channel: ChannelSettings = ctx.channel.settings
        if channel.latency:
            await ctx.clock.sleep(channel.latency)
        asked = self._asked[device.id] = self._asked.get(device.id, 0) + 1
        settings: DeviceSettings = device.spec.settings
        if settings.fail == "none" or (settings.fail_every and asked % settings.fail_every):
            return
        if settings.fail == "refuse":
            raise RequestRefused("refused by the simulation", code=2)
        if settings.fail == "lost":
            raise LinkLost("dropped by the simulation")
        await ctx.clock.sleep(ctx.channel.timeout_s)
        raise DeviceUnavailable("silent by the simulation")

    def _signal(self, tag: Tag, now: float) -> float:
        settings: TagSettings = tag.spec.source
        key = (tag.device, tag.path)
        low, high = settings.low, settings.high
        if settings.signal == "constant":
            return self._state.get(key, low)
        if settings.signal == "counter":
            self._state[key] = self._state.get(key, low - settings.step) + settings.step
            return self._state[key]
        if settings.signal == "random":
            before = self._state.get(key, (low + high) / 2)
            self._state[key] = min(high, max(low, before + self._random.uniform(-settings.step, settings.step)))
            return self._state[key]
        return low + (high - low) * _shape(settings, now)

    def _context(self) -> DriverContext:
        if self._ctx is None:
            raise RuntimeError("the driver has no context yet: call connect or run first")
        return self._ctx


def _shape(settings: TagSettings, now: float) -> float:
    """Height of a periodic signal, 0 to 1."""
    share = (now / settings.period + settings.phase) % 1.0
    if settings.signal == "ramp":
        return share
    if settings.signal == "square":
        return 1.0 if share < 0.5 else 0.0
    return 0.5 + 0.5 * math.sin(2 * math.pi * share)


def _as_type(spec: TagSpec, value: float) -> Value:
    """As a wire of this type would carry it: integers wrap; a bool is true in the upper half of the signal."""
    raw = RAW[spec.type]
    if raw.bits == 1:
        settings: TagSettings = spec.source
        return bool(value) if settings.signal == "constant" else value >= (settings.low + settings.high) / 2
    if raw.is_float:
        return float(value)
    span = 1 << raw.bits
    return (round(value) - raw.low) % span + raw.low
