"""Plain data to a Struct, with every problem found and each one explained. One mapping at a time.

msgspec stops at the first error. The whole mapping is tried first; only a bad one is gone through field by field.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

import msgspec

from gateway.settings import nested
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Key, Layers, Problems
from gateway.settings.references import FromEnvironment
from gateway.settings.yaml_reader import scalar_from_text
from gateway.units import Bytes, Rate, Seconds, parse_bytes, parse_rate, parse_seconds

S = TypeVar("S")
_PARSERS = {Seconds: parse_seconds, Bytes: parse_bytes, Rate: parse_rate}
_PLACE = re.compile(r"^(?P<said>.*?) - at `\$(?P<path>.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_MEASURE = re.compile(r"(-?\d+(?:\.\d+)?) ?[^\d\s.,:/-][^\d,:]*\Z")
YES_NO = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "array": "a list",
    "object": "a mapping (key: value)",
    "null": "nothing",
}


def fields_of(struct: type[Any]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a Struct by the name they have in files."""
    return _fields(cast("Hashable", struct))


@functools.cache
def _fields(struct: Any) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def hook(wanted: type, value: object) -> Any:
    """The hook for our units and for a driver's own types that have a class method `parse(text)`."""
    parse = _PARSERS.get(wanted) or getattr(wanted, "parse", None)
    if parse is None:
        raise NotImplementedError(wanted)
    return parse(value)


def to_struct(
    struct: type[S],
    values: dict[str, Any],
    layers: Layers,
    problems: Problems,
    *,
    where: str,
    forms: Mapping[str, str] = MappingProxyType({}),
) -> S | None:
    """`values` as `struct`; everything that is wrong is added to `problems`. Unknown keys are the caller's.

    A bad key that may be left out is left out, so that what depends on the rest is checked too; None when a needed
    key is bad or missing.

    `layers` knows where each key was written; `where` names the mapping in a message about a missing key; `forms` has
    hints for keys whose value is of another kind.
    """
    written = values
    values = _without_empty(values, layers, problems)
    try:
        return msgspec.convert(values, struct, dec_hook=hook)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        first = str(error)
    fixed, usable = dict(values), True
    for key, field in fields_of(struct).items():
        if key in values:
            good, fixed[key] = _field(field.type, values[key], (key,), layers, problems, forms.get(key, ""))
            if not good:
                del fixed[key]
                usable = usable and not field.required
        elif field.required:
            usable = False
            if key not in written:
                problems.at_key(layers.origin(), f"{where} needs `{key}`", f"add `{key}: ...`")
    if not usable:
        return None
    try:
        return msgspec.convert(fixed, struct, dec_hook=hook)  # values of the environment have their type now
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        said = _PLACE.sub(r"\g<said>", str(error) or first)
        problems.at_key(layers.origin(), f"{where}: {said}")
        return None


def _without_empty(values: dict[str, Any], layers: Layers, problems: Problems) -> dict[str, Any]:
    """A key without a value says nothing: it is refused also where leaving it out would be right."""
    empty = [key for key, value in values.items() if value is None]
    for key in empty:
        problems.at(layers.origin(key), f"`{key}` has no value", "write one, or remove the key")
    return {key: value for key, value in values.items() if value is not None} if empty else values


def _field(
    wanted: Any, value: Any, path: tuple[Key, ...], layers: Layers, problems: Problems, form: str
) -> tuple[bool, Any]:
    """Whether `value` is `wanted`, and the value to use. `form`: the hint for a value of another kind."""
    try:
        msgspec.convert(value, wanted, dec_hook=hook)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        if isinstance(value, FromEnvironment):
            parsed = scalar_from_text(value)
            if not isinstance(parsed, str):
                return _field(wanted, parsed, path, layers, problems, form)
        match = _PLACE.match(str(error))
        said = match["said"] if match else str(error)
        steps, culprit, whole = _follow(match["path"] if match else "", value)
        place = (*path, *steps)
        if not whole:  # the key of a mapping whose keys are free is not told
            _report_some(said, place, layers, problems)
        else:
            _report(said, nested.type_at(wanted, steps), culprit, place, layers, problems, "" if steps else form)
        return False, None
    return True, value


def _follow(text: str, value: Any) -> tuple[tuple[Key, ...], Any, bool]:
    """The keys of msgspec's path as far as they are named, the value they lead to, and whether that is all of it."""
    steps: list[Key] = []
    for name, index, unnamed in _STEP.findall(text):
        if unnamed:
            return tuple(steps), value, False
        key: Key = int(index) if index else name
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            break
        steps.append(key)
    return tuple(steps), value, True


def _report_some(said: str, path: tuple[Key, ...], layers: Layers, problems: Problems) -> None:
    """Something in a mapping is wrong, and which is not told."""
    plain = re.sub(r"`(\w+)`", lambda word: _KINDS.get(word[1], word[1]), said)
    plain = plain.removeprefix("Expected ")
    problems.at(layers.origin(*path), f"in `{path[-1]}`: wanted is {plain[0].lower()}{plain[1:]}")


def _report(
    said: str, wanted: Any, value: Any, path: tuple[Key, ...], layers: Layers, problems: Problems, form: str
) -> None:
    origin = layers.origin(*path)
    name = path[-1] if isinstance(path[-1], str) else f"{path[-2]}[{path[-1]}]"
    unknown = _UNKNOWN.search(said)
    if unknown:
        known = nested.keys(wanted)
        hint = did_you_mean(unknown[1], known) if known else ""
        problems.at_key(origin.child(unknown[1]), f"unknown key `{unknown[1]}` in `{name}`", hint)
        return
    missing = _MISSING.search(said)
    if missing:
        problems.at_key(origin, f"`{name}` needs `{missing[1]}`", f"add `{missing[1]}: ...`")
        return
    message, hint = explain(said, wanted, value)
    problems.at(origin, f"`{name}` {message}", form if form and message.startswith("must be ") else hint)


def explain(said: str, wanted: Any, value: Any) -> tuple[str, str]:
    """A message of msgspec about `value` in plain words, and the corrected form."""
    if value is None:
        return "has no value", "write one, or remove the key"
    choices = nested.words(wanted)
    if choices and "Invalid enum value" in said:
        return f"cannot be {show(value)}", did_you_mean(str(value), choices) + _all_of(str(value), choices)
    match = re.match(r"Expected `([^`]+)`(?:, got `([^`]+)`)?(.*)", said)
    if match is None:
        reason, _, hint = said.partition(": ")
        return f"is wrong: {reason}", f"write {hint}" if hint and not hint.startswith(("write", "use")) else hint
    expected, more = match[1], match[3].strip()
    if more or (match[2] is None):
        plain = re.sub(r"`(\w+)`", lambda word: _KINDS.get(word[1], word[1]), said)
        return f"is {show(value)}: {plain[0].lower()}{plain[1:]}", ""
    names = [part.strip() for part in expected.split("|")]
    shown = [part for part in names if part != "null" and not (part == "int" and "float" in names)]
    words = " or ".join(_KINDS.get(part, part) for part in shown)
    return f"must be {words}, not {show(value)}", _corrected(names, value)


def _all_of(value: str, choices: Iterable[str]) -> str:
    suggestion = did_you_mean(value, choices)
    return f" One of: {', '.join(choices)}" if suggestion.startswith("did you mean") else ""


def _corrected(expected: list[str], value: Any) -> str:
    if isinstance(value, str):
        if "bool" in expected and value.lower() in YES_NO:
            return f"write {YES_NO[value.lower()]}"
        if "int" in expected and re.fullmatch(r"0+[0-9]+", value):
            return f"a number has no leading zero: write {int(value)}"
        if ("int" in expected or "float" in expected) and not isinstance(scalar_from_text(value), str):
            return f"write {value} without quotes"
        if ("int" in expected or "float" in expected) and (measure := _MEASURE.match(value)):
            return f"write {measure[1]}, without the unit"
        if ("int" in expected or "float" in expected) and value.startswith("{"):
            return "write a number: parameters in braces work in devices and profiles only"
        if "object" in expected and re.match(r"\S+ \S", value):
            return f"a colon is missing: write {value.replace(' ', ': ', 1)}"
        if "array" in expected:
            return f"write [{value}]"
    elif "str" in expected and not isinstance(value, dict | list):
        return f'put it in quotes: "{_plain(value)}"'
    elif "array" in expected and not isinstance(value, dict):
        return f"write [{_plain(value)}]"
    elif "int" in expected and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    return ""


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def show(value: Any) -> str:
    """A value in a message: short, as written."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = _plain(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return f"the text `{text}`" if isinstance(value, str) else text
