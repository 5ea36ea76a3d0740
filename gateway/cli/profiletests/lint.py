"""What is odd about a profile that loads: things a person would ask about before trusting it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import Any

from msgspec import Struct

from gateway.model import ChannelSpec, TagSpec, ValueType
from gateway.rehearsal import Place, Rehearsal
from gateway.transform import RAW

DOCUMENTED, CHECKED = "documented", "checked on a device"
MARKS = (DOCUMENTED, CHECKED)
"""What `meta.quality` may say: how much somebody knows that a profile is right."""
MOST_REQUESTS = 20
_META = {
    "maker": "who makes the device",
    "model": "which devices it is for",
    "source": "the document its facts are from: title, edition, page",
    "quality": f"`{DOCUMENTED}` or `{CHECKED}`",
}
_TEXTS = (ValueType.STRING, ValueType.BYTES, ValueType.OBJECT, ValueType.BOOL)
_WRITTEN = {
    "°C": "degc celsius c ℃",
    "°F": "degf f",
    "kWh": "kwh",
    "Wh": "wh",
    "MWh": "mwh",
    "kW": "kw",
    "W": "watt w",
    "V": "volt volts v",
    "A": "amp amps ampere a",
    "Hz": "hz",
    "kHz": "khz",
    "VA": "va",
    "kVA": "kva",
    "kvar": "kvar",
    "%": "percent pct",
    "m³": "m3 m^3",
    "m³/h": "m3/h",
    "s": "sec seconds",
    "min": "minutes",
    "h": "hours hrs",
    "Ω": "ohm ohms",
    "Pa": "pa",
    "hPa": "hpa",
    "kPa": "kpa",
    "mV": "mv",
    "mA": "ma",
    "Ah": "ah",
    "dBm": "dbm",
    "rpm": "1/min",
    "lx": "lux",
    "°": "deg",
    "µg/m³": "ug/m3 µg/m3",
}
_UNITS = {word: unit for unit, words in _WRITTEN.items() for word in words.split()}
"""Units as they are often written, in lower case, and as they are written here."""
_STATES = re.compile(
    r"(^|[/_])(status|state|mode|alarm|fault|error|code|flags?|word|version|serial|model|id)([/_]|\d*$)"
)


class Remark(Struct, frozen=True):
    """Something about a profile. `tag` empty: about all of it. `is_fault`: it is wrong, not only odd."""

    tag: str
    text: str
    is_fault: bool = False

    def view(self) -> dict[str, Any]:
        return {"tag": self.tag, "text": self.text, "level": "fault" if self.is_fault else "advice"}


def remarks_of(
    channel: ChannelSpec, rehearsal: Rehearsal | None, requests: int | None, checked: AbstractSet[str] | None
) -> list[Remark]:
    """Everything odd. `requests`: of a round over all tags; `checked`: tags that cases look at, None: no cases."""
    (device,) = channel.devices
    found = list(_meta(dict(device.meta)))
    for spec in device.tags:
        found += [Remark(spec.path, text, is_fault) for text, is_fault in _tag(spec)]
    if rehearsal is not None:
        found += _places(list(rehearsal.places(channel)), {spec.path: spec for spec in device.tags})
        if checked is None:
            found.append(Remark("", "there are no cases: nobody has tried it with known values"))
        elif not any(spec.path in checked for spec in device.tags):
            found.append(Remark("", "the cases look at no tag"))
    if not device.tags:
        found.append(Remark("", "there are no tags", is_fault=True))
    if requests is not None and requests > MOST_REQUESTS:
        text = f"a round over all tags takes {requests} requests: give what changes seldom a longer `interval`"
        found.append(Remark("", text))
    return found


def _meta(meta: dict[str, str]) -> Iterator[Remark]:
    for key, meaning in _META.items():
        if not meta.get(key, "").strip():
            yield Remark("", f"`meta.{key}` is missing: {meaning}")
    if meta.get("quality", DOCUMENTED) not in MARKS:
        yield Remark("", f"`meta.quality` is {' or '.join(f'`{each}`' for each in MARKS)}, not `{meta['quality']}`")


def _tag(spec: TagSpec) -> Iterator[tuple[str, bool]]:
    """(what is odd, whether it is wrong) of one tag."""
    described = str(getattr(spec, "description", "") or "")
    numeric = spec.type not in _TEXTS
    if numeric and spec.unit:
        wanted = _UNITS.get(spec.unit.strip().lower(), spec.unit)
        if wanted != spec.unit:
            yield f"the unit {spec.unit} is written {wanted}", False
    elif spec.unit:
        yield f"a {spec.type.value} has no unit", False
    elif numeric and not described and not spec.labels:
        if not spec.transform.is_identity and not spec.scale_from and spec.transform.scale is not None:
            yield "a scaled number has no unit: what is it? `unit`, or `description` where it has none", False
        elif _STATES.search(spec.path):
            yield "what do its numbers mean? `labels`, or a `description`", False
    yield from _numbers(spec)


def _numbers(spec: TagSpec) -> Iterator[tuple[str, bool]]:
    raw = RAW[spec.type]
    if raw.bits <= 1 or raw.is_float:
        return
    top = (1 << raw.bits) - 1
    for value in spec.transform.invalid:
        if not raw.low <= value <= top:
            yield f"`invalid` has {value:g}, which {spec.type.value} never is", True
    for value, text in spec.labels:
        least, most = _reach(spec)
        if not least <= value <= most:
            yield f"the label {value} ({text}) is a value that the tag never has", True
    if spec.range is not None and not spec.labels:
        least, most = _reach(spec)
        if spec.range[0] > most or spec.range[1] < least:
            yield f"`range` {spec.range[0]:g} to {spec.range[1]:g} has no value that the tag can have", True


def _reach(spec: TagSpec) -> tuple[float, float]:
    """The least and the greatest value of an integer tag in engineering units; everything where nobody can tell."""
    raw, transform = RAW[spec.type], spec.transform
    if transform.base is not None or spec.scale_from is not None or spec.wrap is not None or transform.shift < 0:
        return float("-inf"), float("inf")
    low, high = (0, transform.mask) if transform.mask is not None else (raw.low, raw.high)
    low, high = low >> transform.shift, high >> transform.shift
    scale, offset = transform.scale or 1, transform.offset or 0
    ends = sorted((low * scale + offset, high * scale + offset))
    return float(ends[0]), float(ends[1])


# --- two tags at one place


def _places(places: list[Place], tags: dict[str, TagSpec]) -> Iterator[Remark]:
    for one, other in combinations(sorted(places, key=lambda each: (each.where, each.first, each.end)), 2):
        if one.where != other.where or other.first >= one.end:
            continue
        same = (one.first, one.end) == (other.first, other.end)
        if same and one.bits != other.bits:
            if one.bits & other.bits and (one.bits | other.bits) not in {one.bits, other.bits}:
                yield Remark(other.tag, f"takes some of the bits of `{one.tag}`", is_fault=True)
        elif same:
            if (text := _twice(one, other, tags)) is not None:
                yield text
        elif one.bits or other.bits:
            continue  # a bit of one register of a longer number: a view of it
        elif not _contains(one, other):
            yield Remark(other.tag, f"overlaps `{one.tag}`: {_span(one)} and {_span(other)}", is_fault=True)
        else:
            yield Remark(other.tag, f"is a part of what `{one.tag}` reads: {_span(one)} and {_span(other)}")


def _contains(one: Place, other: Place) -> bool:
    return (one.first <= other.first and other.end <= one.end) or (other.first <= one.first and one.end <= other.end)


def _twice(one: Place, other: Place, tags: dict[str, TagSpec]) -> Remark | None:
    """Two tags that read the very same thing: of different meaning, or one of them too many."""
    left, right = tags[one.tag], tags[other.tag]
    if {left.access.value, right.access.value} == {"r", "w"}:
        return None  # what is read here is written there
    if one.form != other.form:
        return Remark(other.tag, f"reads what `{one.tag}` reads, as {other.form} and not as {one.form}", is_fault=True)
    if (left.unit, left.transform, left.labels) != (right.unit, right.transform, right.labels):
        return Remark(other.tag, f"reads what `{one.tag}` reads, with another meaning", is_fault=True)
    return Remark(other.tag, f"is the same as `{one.tag}`")


def _span(place: Place) -> str:
    last = place.end - 1
    return f"{place.where} {place.first}" + (f"-{last}" if last != place.first else "")
