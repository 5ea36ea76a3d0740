"""A tag as cells of a list: its keys, driver's and kernel's, as texts from which the same keys can be read again."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Hashable, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct, inspect
from msgspec.structs import fields

from gateway.model import WRITERS, Schedule, TagSpec, Value
from gateway.rulebook import Every
from gateway.settings.every_keys import MIDNIGHT
from gateway.settings.yaml_reader import scalar_from_text
from gateway.settings.yaml_writer import flow

SCALAR, TEXT, YAML = "scalar", "text", "yaml"
"""Kinds of columns: a number where it looks like one, a text whatever it looks like, anything as in the files."""
_FLAGS = ("on_change", "on_demand", "hidden", "shadow", "strict_edgex")
"""Keys that `defaults` of a channel may switch on; a tag that has them off says so then."""
_OF_A_WIRE = {"on_demand", "strict_edgex"}
_NESTED = (
    inspect.DictType,
    inspect.ListType,
    inspect.VarTupleType,
    inspect.TupleType,
    inspect.StructType,
    inspect.AnyType,
)
_EXPRESSIONS = {"value", "counts", "hours", "integral"}
IN_QUOTES = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A text in a column where others are numbers."""


class Written(Struct, frozen=True):
    """What a channel's file says for its tags: its poll groups, and its `defaults`."""

    groups: Mapping[str, Schedule] = {}
    defaults: Mapping[str, Any] = {}


def kinds_of(tag: type[Any]) -> dict[str, str]:
    """The kinds of a driver's own columns, by the types of its keys."""
    return _kinds(cast("Hashable", tag))


@functools.cache
def _kinds(tag: Any) -> dict[str, str]:
    info = cast("inspect.StructType", inspect.type_info(tag))
    return {field.encode_name: _kind(field.type) for field in info.fields}


def _kind(wanted: inspect.Type) -> str:
    types = wanted.types if isinstance(wanted, inspect.UnionType) else (wanted,)
    if any(isinstance(each, _NESTED) for each in types):
        return YAML
    texts = (inspect.StrType, inspect.NoneType)
    literal = inspect.LiteralType
    plain = all(
        isinstance(each, texts) or (isinstance(each, literal) and all(isinstance(word, str) for word in each.values))
        for each in types
    )
    return TEXT if plain else SCALAR


def literal(value: Any, *path: str) -> Any:
    """A value of a cell as it stands in a file, where braces in texts are parameters: they are doubled. Expressions
    have braces of their own; a text with a reference `${...}` is left as it is.
    """
    if isinstance(value, dict):
        return {key: literal(each, *path, key) for key, each in value.items()}
    if isinstance(value, list):
        return [literal(each, *path) for each in value]
    if not isinstance(value, str) or "${" in value or path[0] in _EXPRESSIONS or path == ("write", "while"):
        return value
    return value.replace("{", "{{").replace("}", "}}")


def cells_of(tag: TagSpec, around: Written, timezone: str = "UTC") -> dict[str, str]:
    """A tag's keys as cells; what is not set is empty."""
    cells = {} if tag.source is None else _own_cells(tag.source)
    group = tag.group if tag.group and around.groups.get(tag.group) == tag.schedule else ""
    alone = tag.schedule is not None and not group and not tag.schedule.align
    transform, report = tag.transform, tag.report
    cells |= {
        "type": tag.type.value,
        "unit": tag.unit,
        "access": "" if tag.access.value == "r" else tag.access.value,
        "scale": _text(transform.scale),
        "offset": _text(transform.offset),
        "range_low": _text(tag.range[0] if tag.range else None),
        "range_high": _text(tag.range[1] if tag.range else None),
        "deadband": _text(report.deadband),
        "group": group,
        "interval": _seconds(tag.schedule.every_s) if tag.schedule is not None and alone else "",
        "mask": _text(transform.mask),
        "shift": _text(transform.shift or None),
        "base": _text(transform.base),
        "invalid": _text(list(transform.invalid) or None),
        "on_change": _flag(report.on_change),
        "heartbeat": "" if report.heartbeat_s is None else _seconds(report.heartbeat_s),
        "report_every": "" if report.every_s is None else _seconds(report.every_s),
    }
    cells |= _more_cells(tag) | _kept_cells(tag) | _computed_cells(tag, timezone)
    for flag in _FLAGS:
        if not cells[flag] and around.defaults.get(flag) and not (tag.virtual is not None and flag in _OF_A_WIRE):
            cells[flag] = "false"
    return cells


def _own_cells(source: Any) -> dict[str, str]:
    kinds = kinds_of(type(source))
    return {field.encode_name: _own(getattr(source, field.name), kinds[field.encode_name]) for field in fields(source)}


def _own(value: Any, kind: str) -> str:
    """A driver's key. What is empty as it comes is an empty cell."""
    if isinstance(value, Struct):
        value = _set_keys(value)
    if value is None or value == "" or (isinstance(value, dict | list | tuple) and not value):
        return ""
    if kind == YAML:
        return flow(list(value) if isinstance(value, tuple) else value)
    if kind == SCALAR and isinstance(value, str) and (IN_QUOTES.fullmatch(value) or scalar_from_text(value) != value):
        return json.dumps(value)  # a text that would come back as a number
    return _text(value)


def _set_keys(value: Struct) -> dict[str, Any]:
    """The keys of a structure that differ from what they are unless said."""
    bare = msgspec.to_builtins(value)
    return {
        field.encode_name: bare[field.encode_name]
        for field in fields(value)
        if getattr(value, field.name) != field.default
    }


def _computed_cells(tag: TagSpec, timezone: str) -> dict[str, str]:
    """The keys of a tag without an address."""
    virtual = tag.virtual
    if virtual is None:
        return {}
    cells = {virtual.kind: virtual.text} if virtual.kind != "memory" else {}
    cells["reset"] = "" if virtual.reset is None else _reset(virtual.reset, timezone)
    cells["initial"] = "" if virtual.initial is None else _value(virtual.initial)
    return cells


def _reset(every: Every, timezone: str) -> str:
    """When a total begins anew, as it stands in the files."""
    keys = {"cron": every.cron}
    if every.zone != timezone:
        keys["zone"] = every.zone
    if every.missed != "once":
        keys["missed"] = every.missed
    return "daily" if keys == {"cron": MIDNIGHT} else flow(keys)


def _more_cells(tag: TagSpec) -> dict[str, str]:
    limits, verify = tag.write, tag.verify
    write: dict[str, Any] = {"min": limits.minimum, "max": limits.maximum}
    write["rate"] = None if limits.rate is None else f"{limits.rate[0]}/{limits.rate[1]:.0f}s"
    write["max_change"] = limits.max_change
    write["allow"] = None if limits.allow == WRITERS else list(limits.allow)
    write["while"] = limits.interlock or None
    check: dict[str, Any] = {"tag": verify.tag, "settle": _seconds(verify.settle_s) if verify.settle_s else None}
    whole = any(check.values())
    if whole:
        check["tolerance"] = verify.tolerance
    return {
        "scale_from": _text(tag.scale_from),
        "wrap": _text(tag.wrap),
        "coherent": tag.coherent,
        "labels": _text(dict(tag.labels) or None),
        "write": _text(_given(write) or None),
        "verify": _text(_given(check) or None),
        "tolerance": "" if whole else _text(verify.tolerance),
        "momentary": _flag(tag.momentary),
        "on_demand": _flag(tag.on_demand),
        "hidden": _flag(tag.hidden),
        "shadow": _flag(tag.shadow),
    }


def _kept_cells(tag: TagSpec) -> dict[str, str]:
    """What goes with a tag besides reading and writing it."""
    edgex = tag.transform.edgex
    reapply = None if tag.reapply_s is None else {"reapply": _seconds(tag.reapply_s)}
    return {
        "on_reconnect": _text(reapply),
        "conflict": tag.conflict or "",
        "description": tag.description,
        "meta": _text(dict(tag.meta) or None),
        "expect": "" if tag.expect is None else _value(tag.expect),
        "local": _flag(tag.local),
        "desired": "" if tag.desired is None else _value(tag.desired),
        "strict_edgex": "" if edgex is None else "true" if edgex is tag.type else edgex.value,
    }


def _value(value: Value) -> str:
    """A value of a tag as it stands in the files: a text that looks like a number has quotes."""
    return flow(value.hex() if isinstance(value, bytes) else _tidy(value))


def _given(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _tidy(value) for key, value in keys.items() if value is not None}


def _tidy(value: Any) -> Any:
    """A whole number without a fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _flag(value: bool) -> str:
    return "true" if value else ""


def _seconds(value: float) -> str:
    return f"{_text(value)}s"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | tuple):
        return flow(value)
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.12g}"
    return short if float(short) == value else repr(value)
