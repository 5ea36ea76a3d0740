"""What a payload holds at a tag's place to the tag's value and quality.

A number may come as a text, a bool as one of many words. What cannot be meant is bad with a reason, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from drivers.mqtt.formats import BadPayload, plain_json
from gateway.model import Quality, TagSpec, Value, ValueType
from gateway.objects import to_text
from gateway.transform import RAW, scalar

Convert = Callable[[Any], tuple[Value, int]]

TYPES = frozenset(
    {
        ValueType.BOOL,
        ValueType.INT8,
        ValueType.UINT8,
        ValueType.INT16,
        ValueType.UINT16,
        ValueType.INT24,
        ValueType.UINT24,
        ValueType.INT32,
        ValueType.UINT32,
        ValueType.INT48,
        ValueType.UINT48,
        ValueType.INT64,
        ValueType.UINT64,
        ValueType.FLOAT32,
        ValueType.FLOAT64,
        ValueType.STRING,
        ValueType.BYTES,
        ValueType.OBJECT,
    }
)
TRUE = frozenset({"1", "on", "true", "yes", "online"})
FALSE = frozenset({"0", "off", "false", "no", "offline"})
NOTHING = frozenset({"", "unknown", "unavailable", "none", "null", "nan"})
"""What devices write when they have no value."""
MAX_TEXT = 32_768
_EXACT = 1 << 53

_GOOD = int(Quality.GOOD)
_SENSOR = int(Quality.BAD_SENSOR)
_RANGE = int(Quality.BAD_RANGE)
_CONFIG = int(Quality.BAD_CONFIG)


def converter(spec: TagSpec, words: Mapping[str, Any]) -> Convert:
    """The way from a raw value to value and quality of one tag."""
    kind = spec.type
    if kind is ValueType.BOOL:
        made: Convert = _bool
    elif kind is ValueType.STRING:
        made = _text
    elif kind is ValueType.BYTES:
        made = _bytes
    elif kind is ValueType.OBJECT:
        made = _object
    else:
        made = _number(spec)
    return _worded(words, made) if words else made


def _worded(words: Mapping[str, Any], convert: Convert) -> Convert:
    def look(raw: Any) -> tuple[Value, int]:
        if isinstance(raw, str):
            return convert(words.get(raw, raw))
        if isinstance(raw, bool):
            return convert(words.get("true" if raw else "false", raw))
        return convert(raw)

    return look


def _bool(raw: Any) -> tuple[Value, int]:
    if raw is True or raw is False:
        return raw, _GOOD
    if isinstance(raw, int | float) and raw in {0, 1}:
        return bool(raw), _GOOD
    if isinstance(raw, str):
        word = raw.lower()
        if word in TRUE:
            return True, _GOOD
        if word in FALSE:
            return False, _GOOD
        return None, _SENSOR if word in NOTHING else _CONFIG
    return None, _SENSOR if raw is None else _CONFIG


def _text(raw: Any) -> tuple[Value, int]:
    if raw is None:
        return None, _SENSOR
    if isinstance(raw, bool):
        raw = "true" if raw else "false"
    elif isinstance(raw, int | float):
        raw = str(raw)
    elif not isinstance(raw, str):
        return None, _CONFIG
    return (raw, _GOOD) if len(raw) <= MAX_TEXT else (None, _RANGE)


def _bytes(raw: Any) -> tuple[Value, int]:
    if isinstance(raw, str):
        try:
            raw = bytes.fromhex(raw)
        except ValueError:
            return None, _CONFIG
    if not isinstance(raw, bytes):
        return None, _SENSOR if raw is None else _CONFIG
    return (raw, _GOOD) if len(raw) <= MAX_TEXT else (None, _RANGE)


def _object(raw: Any) -> tuple[Value, int]:
    if not isinstance(raw, dict | list):
        return None, _SENSOR if raw is None else _CONFIG
    try:
        text = to_text(plain_json(raw))
    except (BadPayload, ValueError):
        return None, _RANGE
    return (text, _GOOD) if len(text) <= MAX_TEXT else (None, _RANGE)


def _number(spec: TagSpec) -> Convert:
    raw_type = RAW[spec.type]
    is_float, low, high = raw_type.is_float, raw_type.low, raw_type.high
    # a decimal number in a text is as exact as float64, whatever the tag narrows it to elsewhere
    wide = replace(spec, type=ValueType.FLOAT64) if is_float else spec
    limits = spec.range
    plain = spec.transform.is_identity and limits is None
    compute = None if plain else scalar(RAW[wide.type], wide.transform, limits)
    # a whole number with a decimal scale is exact, as it is of a wire's integers: 251 with 0.1 is 25.1
    whole = scalar(RAW[ValueType.INT64], spec.transform, limits) if is_float and not plain else None

    def convert(raw: Any) -> tuple[Value, int]:
        kind = type(raw)
        if kind is not float and kind is not int:
            raw = _as_number(raw)
            if raw.__class__ is Quality:
                return None, int(raw)
        if whole is not None and type(raw) is int and -_EXACT < raw < _EXACT:
            value, code = whole(raw)
            return (float(value), code) if isinstance(value, int) else (value, code)
        if is_float:
            try:
                raw = float(raw)
            except OverflowError:
                return None, _RANGE
            if not math.isfinite(raw):
                return None, _SENSOR
        else:
            if isinstance(raw, float):
                if not raw.is_integer():
                    return None, _SENSOR if raw != raw else _CONFIG  # noqa: PLR0124 - NaN
                raw = int(raw)
            if not low <= raw <= high:
                return None, _RANGE
        return (raw, _GOOD) if compute is None else compute(raw)

    return convert


def _as_number(raw: Any) -> int | float | Quality:
    """A number from a text or a bool; the quality of a tag that has none of them."""
    if isinstance(raw, bool):
        return int(raw)
    if isinstance(raw, str):
        word = raw.strip()
        if word.lower() in NOTHING:
            return Quality.BAD_SENSOR
        try:
            return int(word) if word.lstrip("+-").isdecimal() and len(word) <= 20 else float(word)
        except ValueError:
            pass
        if word.lower() in TRUE or word.lower() in FALSE:
            return int(word.lower() in TRUE)
        return Quality.BAD_CONFIG
    if isinstance(raw, int | float):  # of a subclass
        return raw
    return Quality.BAD_SENSOR if raw is None else Quality.BAD_CONFIG


def shown(raw: Any) -> str:
    """A raw value for people, short."""
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def reason(spec: TagSpec, raw: Any, code: int) -> str:
    """Why a raw value made a tag bad."""
    if raw is None:
        return "the device sends null"
    if code == _RANGE:
        return f"the device sends {shown(raw)}: outside of the tag's range or type {spec.type.value}"
    if code == _SENSOR:
        return f"the device sends {shown(raw)}: it has no value"
    return f"the device sends {shown(raw)}: no {spec.type.value}"
