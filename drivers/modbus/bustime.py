"""How long requests take on a serial line, and whether a channel's intervals can hold at all.

MODBUS over Serial Line V1.02: a character is start bit, data, parity and stop bits; frames are apart by the line's gap.
The devices' own thinking time is not known here, so every figure is a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from drivers.modbus.address import AddressError
from drivers.modbus.planner import plan_runs
from drivers.modbus.point import PointError, limits_of, point_of
from drivers.modbus.sets import units_of
from drivers.modbus.settings import ChannelSettings
from drivers.modbus.transports import Line
from drivers.modbus.words import OrderError
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, DeviceSpec, Schedule, TagSpec


class Share(Struct, frozen=True):
    """What one schedule of one device asks of the bus: `requests` in `seconds` each `every_s`.

    `longest`: seconds of both frames of the longest of them.
    """

    device: str
    requests: int
    seconds: float
    every_s: float
    longest: float

    @property
    def load(self) -> float:
        return self.seconds / self.every_s


def read_seconds(line: Line, size: int) -> float:
    """The least that a read takes which brings `size` bytes: both frames, a gap before each, the turnaround."""
    return _frames_seconds(line, size) + 2 * line.gap_s + line.turnaround_s


def _frames_seconds(line: Line, size: int) -> float:
    asked, answered = 8, 5 + size
    if line.framing == "ascii":  # colon, two letters a byte with one check byte less than RTU, CR LF
        asked, answered = 3 + 2 * (asked - 1), 3 + 2 * (answered - 1)
    return (asked + answered) * line.char_s


def shares(channel: ChannelSpec, line: Line) -> Iterator[Share]:
    """One for every schedule of every device. Raises what a faulty tag raises."""
    for device in (each for each in channel.devices if each.enabled):
        by_schedule: dict[Schedule, list[TagSpec]] = {}
        for spec in device.tags:
            if spec.access is not Access.WRITE and not spec.on_demand:
                by_schedule.setdefault(spec.schedule or device.schedule, []).append(spec)
        for schedule, specs in by_schedule.items():
            sizes = _sizes(channel.settings, device, specs)
            if schedule.every_s > 0:
                seconds = sum(read_seconds(line, s) for s in sizes)
                yield Share(device.id, len(sizes), seconds, schedule.every_s, _frames_seconds(line, max(sizes)))


def _sizes(settings: ChannelSettings, device: DeviceSpec, specs: list[TagSpec]) -> list[int]:
    units = units_of(device.tags)
    points = [replace(point_of(settings, device, spec), unit=units.get(spec.path, "")) for spec in specs]
    runs = plan_runs(points, limits_of(settings, device.settings))
    return [(run.count + 7) // 8 if run.table.is_bits else 2 * run.count for run in runs]


def interval_faults(channel: ChannelSpec, line: Line) -> Iterator[Fault]:
    """A fault with the arithmetic when the line is too slow for what is asked of it."""
    try:
        parts = list(shares(channel, line))
    except (AddressError, OrderError, PointError):
        return  # told at the tag
    path = "serial.line" if "line" in (channel.settings.serial or {}) else "serial"
    slowest = max(parts, key=lambda part: part.longest, default=None)
    if slowest is not None and slowest.longest >= channel.timeout_s:
        message = f"the longest read of {slowest.device} takes {slowest.longest:.2f} s at {line.text}"
        hint = f"timeout: {_time(slowest.longest * 1.5)}, or a smaller `max_registers`"
        yield Fault(path, f"{message} and can never be answered within the time-out of {channel.timeout_s:g} s", hint)
    load = sum(part.load for part in parts)
    if load <= 1.0:
        return
    worst = max(parts, key=lambda part: part.load)
    requests = sum(part.requests for part in parts)
    seconds = sum(part.seconds for part in parts)
    names = len({part.device for part in parts})
    asked = f"{_counted(names, 'device')} with {_counted(requests, 'request')}"
    each = f"{asked} of {seconds / requests * 1000:.0f} ms on average at {line.text}"
    message = f"{each} take {seconds:.2f} s a cycle and keep the line {load * 100:.0f} % busy"
    hint = (
        f"intervals at least {load:.2f} times as long ({worst.device}: {_time(worst.every_s * load)}), or a faster line"
    )
    yield Fault(path, message, hint)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _time(seconds: float) -> str:
    """A time as the configuration writes it, rounded up."""
    return f"{math.ceil(seconds * 1000)}ms" if seconds < 1 else f"{math.ceil(seconds * 10) / 10:g}s"
