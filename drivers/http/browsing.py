"""The leaves of JSON answers, as tags that could be made of them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from drivers.http.jsonpath import joined

OPTIONS: Final = frozenset({"at", "depth", "filter"})
DEEPEST: Final = 32


class Wanted(Struct, frozen=True):
    """`at`: a path to begin at instead of those of the channel's tags. `pattern`: of items' paths."""

    at: str
    depth: int
    pattern: str


def wanted(options: Mapping[str, Any]) -> Wanted:
    """Raises ValueError for options that nobody knows."""
    if unknown := set(options) - OPTIONS:
        raise ValueError(f"http knows no option {', '.join(sorted(unknown))}; it knows {', '.join(sorted(OPTIONS))}")
    at, depth, pattern = options.get("at") or "", options.get("depth"), options.get("filter") or ""
    if not isinstance(pattern, str):
        raise ValueError(f"filter is a text, not {pattern!r}")  # noqa: TRY004 - the contract's error for options
    if at and not str(at).startswith("/"):
        raise ValueError(f"{at!r} is no path of the server: --at /status")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError("depth is a whole number from 1")
    return Wanted(str(at), min(depth or DEEPEST, DEEPEST), pattern)


def items(path: str, document: Any, look: Wanted) -> Iterator[dict[str, Any]]:
    """One item for each leaf of the answer at `path`, in its order."""
    for json, steps, value in _leaves(document, look.depth):
        place = "/".join(_id(step) for step in steps) or "value"
        if look.pattern and not fnmatch.fnmatchcase(place, look.pattern):
            continue
        kind = _type(value)
        yield {
            "address": f"{path}#{json}",
            "name": steps[-1] if steps else "value",
            "path": place,
            "kind": "value",
            "type": kind,
            "access": "r",
            "keys": {"path": path, "json": json, "type": kind},
            "value": value if not isinstance(value, dict | list) else None,
        }


def _leaves(document: Any, depth: int) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """A stack and no recursion: how deep it goes is the server's choice."""
    stack: list[tuple[str, tuple[str, ...], Any]] = [("", (), document)]
    while stack:
        json, steps, value = stack.pop()
        inner: list[tuple[str | int, Any]] = []
        if len(steps) < depth and isinstance(value, dict):
            inner = list(value.items())
        elif len(steps) < depth and isinstance(value, list):
            inner = list(enumerate(value))
        if inner:
            below = [(joined(json, step), (*steps, str(step)), child) for step, child in inner if step != ""]
            stack.extend(reversed(below))
        elif not isinstance(value, dict | list) or len(steps) >= depth:
            yield json or "$", steps, value


def _type(value: Any) -> str:
    """Numbers are float64: a 5 of now is a 5.2 of later."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "float64"
    return "object" if isinstance(value, dict | list) else "string"


def _id(step: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", step).strip("_-")[:64] or "value"
