"""A small subset of JSONPath (RFC 9535): `$`, `.name`, `['name']`, `["name"]`, `[0]`, `[-1]`. Compiled once.

Wildcards, filters and slices are left out on purpose: one path is one value. Many devices come by wildcards in the
topic, many readings of one message by `items`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

MISSING: Final = object()
"""There is nothing at this place."""

MAX_LENGTH = 500
MAX_STEPS = 32
_STEP = re.compile(
    r"""\.(?P<name>[^\s.*\[\]'"]+)|\[(?P<index>-?\d{1,9})\]|\['(?P<single>(?:[^'\\]|\\.)*)'\]|\["(?P<double>(?:[^"\\]|\\.)*)"\]"""
)
_ESCAPE = re.compile(r"\\(.)")

Getter = Callable[[Any], Any]
Step = str | int


class PathError(ValueError):
    """A path that cannot be used; `hint` shows a right one."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path: names and positions. Raises PathError."""
    if len(text) > MAX_LENGTH:
        raise PathError(f"a path has at most {MAX_LENGTH} characters")
    if not text.startswith("$"):
        raise PathError(f"`{text}` does not begin with $", f"write $.{text.lstrip('.')}")
    steps: list[Step] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise PathError(
                f"`{text}` cannot be read from `{text[at:]}` on", "write $.a.b[0], and ['a.b'] for a name with dots"
            )
        steps.append(_step(match))
        at = match.end()
    if len(steps) > MAX_STEPS:
        raise PathError(f"a path has at most {MAX_STEPS} steps")
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["index"] is not None:
        return int(match["index"])
    if match["name"] is not None:
        return match["name"]
    quoted = match["single"] if match["single"] is not None else match["double"]
    return _ESCAPE.sub(r"\1", quoted)


def write(steps: tuple[Step, ...]) -> str:
    """The text of a path: what `parse` reads as these steps."""
    parts = ["$"]
    for step in steps:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step):
            parts.append(f".{step}")
        else:
            quoted = step.replace("\\", "\\\\").replace("'", "\\'")
            parts.append(f"['{quoted}']")
    return "".join(parts)


def getter(steps: tuple[Step, ...]) -> Getter:
    """What takes the value at a place out of a document; MISSING where there is none."""
    if not steps:
        return lambda document: document
    if len(steps) == 1 and isinstance(steps[0], str):
        return _member(steps[0])
    if all(isinstance(step, str) for step in steps):
        return _members([str(step) for step in steps])
    return _mixed(steps)


def _member(name: str) -> Getter:
    def get(document: Any) -> Any:
        return document.get(name, MISSING) if type(document) is dict else MISSING

    return get


def _members(names: list[str]) -> Getter:
    def get(document: Any) -> Any:
        for name in names:
            if type(document) is not dict:
                return MISSING
            document = document.get(name, MISSING)
        return document

    return get


def _mixed(steps: tuple[Step, ...]) -> Getter:
    def get(document: Any) -> Any:
        for step in steps:
            kind = type(document)
            if kind is dict:
                document = document.get(step, MISSING)
            elif kind is list and isinstance(step, int) and -len(document) <= step < len(document):
                document = document[step]
            else:
                return MISSING
        return document

    return get


def put(steps: tuple[Step, ...], value: Any) -> Any:
    """The smallest document with `value` at a place of names. Raises PathError for a position in a list."""
    document = value
    for step in reversed(steps):
        if isinstance(step, int):
            raise PathError("a command's path has names only", "write $.state, or `payload` with $value")
        document = {step: document}
    return document
