"""What is wrong with a simulated channel beyond the types of its settings."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.sim.settings import ChannelSettings, TagSettings
from gateway.driver import Fault
from gateway.model import Access, ChannelSpec, TagSpec, Value, ValueType
from gateway.objects import from_text, to_text

TEXTS = {ValueType.STRING, ValueType.BYTES, ValueType.OBJECT}


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


def text_fault(kind: ValueType, text: str) -> str | None:
    """Why a text cannot be the value that a tag begins with."""
    try:
        text_value(kind, text)
    except ValueError as error:
        return f"`text`: {error}"
    return None


def text_value(kind: ValueType, text: str) -> Value:
    """The value that a text, bytes or object begins with. Raises ValueError."""
    if kind is ValueType.BYTES:
        return bytes.fromhex(text)
    if kind is ValueType.OBJECT:
        return to_text(from_text(text or "{}"))
    return text


def _tag_faults(spec: TagSpec) -> Iterable[tuple[str, str, str]]:
    tag: TagSettings = spec.source
    if spec.type in TEXTS:
        if tag.signal != "constant":
            yield "type", f"a {tag.signal} has no {spec.type.value} values", "type: float64, or signal: constant"
        if (fault := text_fault(spec.type, tag.text)) is not None:
            yield "text", fault, ""
    elif tag.text:
        yield "text", f"`text` is for texts, bytes and objects, not for {spec.type.value}", "low: 1"
    if tag.period <= 0:
        yield "period", f"period {tag.period} is not above 0", "period: 60"
    if tag.low > tag.high:
        yield "low", f"low {tag.low} is above high {tag.high}", ""
    if spec.access is not Access.READ and tag.signal != "constant":
        yield "access", f"a {tag.signal} cannot be written", "signal: constant"
