"""Texts with values in them: `Boiler at {boiler.temperature:.1f} °C`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.model import TagSpec, Value, ValueType
from gateway.rulebook import ExpressionError, FindTag
from rules.expression.names import Names
from rules.expression.tokens import Kind, Token, only_ascii
from rules.expression.types import Type, has_floats, type_of_tag
from rules.expression.wording import short

MAX_TEMPLATE = 4000
MAX_FIELDS = 100
NO_VALUE = "?"
"""What stands for a value that is bad or not known."""
_BAD = 128
_FORMAT = re.compile(r"\+?0?(?P<width>[0-9]{0,2}),?(?:\.(?P<digits>[0-9]{1,2})(?P<float>[feg%])|(?P<whole>[dx]))\Z")
_MOST_WIDTH = 20
_MOST_DIGITS = 15

Show = Callable[[Any], str]


class BoundTemplate:
    """A template over given slots."""

    __slots__ = ("_parts", "slots")

    def __init__(self, parts: list[tuple[str, int, Show | None]], slots: list[int]) -> None:
        self._parts = parts
        self.slots = slots

    def render(self, values: Sequence[Value], quality: Sequence[int]) -> str:
        """The text now; columns by slot. A value that is bad or absent is `?`, an uncertain one is told."""
        pieces = []
        for text, slot, show in self._parts:
            pieces.append(text)
            if show is not None:
                pieces.append(_shown(values[slot], quality[slot], show))
        return "".join(pieces)


class Template(Struct, frozen=True):
    """A checked template. `tags`: full names in the order of the text, each once."""

    text: str
    tags: tuple[str, ...]
    parts: tuple[tuple[str, str, Show | None], ...]
    """(text before, full name, how its value is shown); the last one is text alone."""

    def bind(self, slots: Mapping[str, int]) -> BoundTemplate:
        parts = [(text, slots[name] if show is not None else -1, show) for text, name, show in self.parts]
        return BoundTemplate(parts, [slots[name] for name in self.tags])


def compile_template(text: str, device: str, find: FindTag) -> Template:
    """Check a text with `{tag}` or `{tag:.1f}` in it; `{{` and `}}` stand for braces. Raises ExpressionError."""
    if len(text) > MAX_TEMPLATE:
        raise ExpressionError(f"{len(text)} characters, at most {MAX_TEMPLATE} are possible", MAX_TEMPLATE)
    names = Names(device, find)
    parts: list[tuple[str, str, Show | None]] = []
    literal: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char not in "{}":
            literal.append(char)
            at += 1
        elif text[at : at + 2] in {"{{", "}}"}:
            literal.append(char)
            at += 2
        else:
            name, show, at = _field(text, at, names)
            parts.append(("".join(literal), name, show))
            literal = []
            if len(parts) > MAX_FIELDS:
                raise ExpressionError(f"more than {MAX_FIELDS} values", at)
    tags = tuple(dict.fromkeys(name for _, name, _ in parts))
    return Template(text, tags, (*parts, ("".join(literal), "", None)))


def _field(text: str, at: int, names: Names) -> tuple[str, Show, int]:
    """(full name, how its value is shown, where the text goes on)."""
    if text[at] == "}":
        raise ExpressionError("this brace was never opened", at, "a brace itself is written }}")
    end = text.find("}", at)
    inner = text.find("{", at + 1, end if end >= 0 else len(text))
    if end < 0 or inner >= 0:
        raise ExpressionError("this brace is never closed", at, "write {tag}; a brace itself is written {{")
    written, colon, form = text[at + 1 : end].partition(":")
    only_ascii(written, at + 1)
    name = written.strip(" ")
    if not name:
        raise ExpressionError("there is no tag in these braces", at, "write {tag}; a brace itself is written {{")
    if name[0] in "\"'":
        raise ExpressionError(f"`{short(name)}` is no tag", at, "a brace itself is written {{ and }}")
    found = names.resolve(Token(Kind.TAG, "{" + written + "}", at, name))
    if not colon:
        return found.name, _plain(found.spec), end + 1
    return found.name, _formatted(found.spec, form, at + 2 + len(written)), end + 1


def _plain(spec: TagSpec) -> Show:
    if spec.type is ValueType.FLOAT32:
        return _show_float32
    return _show_any


def _formatted(spec: TagSpec, form: str, at: int) -> Show:
    """A format of numbers. Widths are bounded: `{x:999999999d}` would take all memory."""
    if type_of_tag(spec) is not Type.NUMBER:
        raise ExpressionError(f"{type_of_tag(spec).noun} has no format", at, "leave out the colon and what follows")
    found = _FORMAT.match(form)
    if found is None or int(found["width"] or 0) > _MOST_WIDTH or int(found["digits"] or 0) > _MOST_DIGITS:
        raise ExpressionError(f"`{short(form)}` is no format", at, "write .1f, .3g, .0%, 05.1f, d or x")
    if found["whole"] and has_floats(spec):
        raise ExpressionError(f"`{form}` shows whole numbers, this tag has others", at, "write .0f")
    try:
        format(0 if found["whole"] else 0.0, form)
    except ValueError:
        raise ExpressionError(f"`{short(form)}` is no format", at, "write .1f, .3g, .0%, 05.1f, d or x") from None
    return lambda value: format(value, form)


def _show_float32(value: Any) -> str:
    return _show_any(value) if value.__class__ is not float else f"{value:.7g}"


def _show_any(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    return value.hex() if isinstance(value, bytes) else str(value)


def _shown(value: Value, quality: int, show: Show) -> str:
    if value is None or quality >= _BAD:
        return NO_VALUE
    try:
        return show(value)
    except (TypeError, ValueError, OverflowError):
        return _show_any(value)
