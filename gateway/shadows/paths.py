"""Leaves of a nested document by their paths. Keys are ids, the depth is bounded; arrays, empty objects are leaves."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.canonical import canonical
from gateway.shadows.values import ShadowError

MAX_DEPTH = 5
HARD_BYTES = 65_536
MAX_LEAVES = 2_000

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_WHOLE = 2**53


def flatten(state: object) -> dict[str, Any]:
    """Path -> value of a nested object; null stays null. Raises ShadowError 400 (form) or 413 (number of leaves)."""
    if not isinstance(state, dict):
        raise ShadowError("`state` is an object", code=400)
    found: dict[str, Any] = {}
    _collect(state, "", 1, found)
    return found


def _collect(node: Mapping[str, Any], prefix: str, depth: int, found: dict[str, Any]) -> None:
    for key, value in node.items():
        path = f"{prefix}{key}"
        if not isinstance(key, str) or not _ID.match(key):
            raise ShadowError(f"{path!r}: a key is letters, digits, _ and -, at most 64", code=400, path=prefix[:-1])
        if depth > MAX_DEPTH:
            raise ShadowError(f"{path!r} is deeper than {MAX_DEPTH} levels", code=400, path=path)
        if isinstance(value, dict) and value:
            _collect(value, f"{path}.", depth + 1, found)
        else:
            _check_value(value, path, depth)
            found[path] = _plain(value)
    if len(found) > MAX_LEAVES:
        raise ShadowError(f"more than {MAX_LEAVES} leaves", code=413)


def _check_value(value: Any, path: str, depth: int) -> None:
    """What is below an array counts as one value of its leaf; its depth is bounded too."""
    if isinstance(value, list):
        if depth >= MAX_DEPTH:
            raise ShadowError(f"{path!r} is deeper than {MAX_DEPTH} levels", code=400, path=path)
        for item in value:
            _check_value(item, path, depth + 1)
    elif isinstance(value, dict):
        if value and depth >= MAX_DEPTH:
            raise ShadowError(f"{path!r} is deeper than {MAX_DEPTH} levels", code=400, path=path)
        for item in value.values():
            _check_value(item, path, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ShadowError(f"{path!r} is not a number that JSON has", code=400, path=path)


def _plain(value: Any) -> Any:
    """A whole number beyond 2^53 is text in a document, however it was written."""
    if isinstance(value, int) and not isinstance(value, bool) and not -_WHOLE < value < _WHOLE:
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def is_below(path: str, folder: str) -> bool:
    """Whether `folder` is a proper prefix of `path`."""
    return path.startswith(folder) and path[len(folder) : len(folder) + 1] == "."


def collides(one: str, other: str) -> bool:
    """Whether the two cannot both be leaves of one document."""
    return is_below(one, other) or is_below(other, one)


def check_path(path: str) -> str:
    """The path, with `/` or `.` between its keys. Raises ShadowError 400."""
    dotted = path.replace("/", ".")
    keys = dotted.split(".")
    if len(keys) > MAX_DEPTH or not all(_ID.match(key) for key in keys):
        raise ShadowError(f"{path!r} is not a path of up to {MAX_DEPTH} ids", code=400, path=path)
    return dotted


def size(path: str, value: Any) -> int:
    """Bytes that a leaf counts: its path and its canonical value."""
    return len(path) + (len(canonical(value)) if value is not None else 0)


def total(leaves: Iterable[tuple[str, Any]]) -> int:
    """Bytes of several leaves."""
    return sum(size(path, value) for path, value in leaves)


def tag_path(path: str) -> str:
    """The tag of a shadow path."""
    return path.replace(".", "/")


def shadow_path(tag: str) -> str:
    """The shadow path of a tag."""
    return tag.replace("/", ".")
