"""What is wrong with a simulated channel beyond the types of its settings."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.sim.settings import ChannelSettings, TagSettings
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, TagSpec, ValueType

_TEXTS = {ValueType.STRING, ValueType.BYTES}


def check(channel: ChannelSpec) -> Iterable[Fault]:
    """All faults of a channel, in the order of its devices and tags."""
    settings: ChannelSettings = channel.settings
    if settings.latency < 0:
        yield Fault("latency", f"latency {settings.latency} is below 0", "latency: 0")
    for device in channel.devices:
        if device.settings.fail_every < 0:
            yield Fault(f"devices.{device.id}.fail_every", "fail_every is below 0", "fail_every: 0")
        for spec in device.tags:
            for field, message, hint in _tag_faults(spec):
                yield Fault(f"devices.{device.id}.tags.{spec.path}.{field}", message, hint)


def _tag_faults(spec: TagSpec) -> Iterable[tuple[str, str, str]]:
    tag: TagSettings = spec.source
    if spec.type in _TEXTS:
        yield "type", f"a signal has no {spec.type.value} values", "type: float64"
    if tag.period <= 0:
        yield "period", f"period {tag.period} is not above 0", "period: 60"
    if tag.low > tag.high:
        yield "low", f"low {tag.low} is above high {tag.high}", ""
    if spec.access is not Access.READ and tag.signal != "constant":
        yield "access", f"a {tag.signal} cannot be written", "signal: constant"
