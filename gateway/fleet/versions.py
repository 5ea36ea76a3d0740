"""Versions in their order, as releases have them: 1.4.0, 1.4.0rc1, 1.4.0.dev3, 1.4.0.post1. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

_VERSION = re.compile(r"(\d{1,9}(?:\.\d{1,9}){0,3})(?:(a|b|rc|\.dev|\.post)(\d{1,9}))?(?:\+.*)?\Z")
_STAGES = {".dev": -4, "a": -3, "b": -2, "rc": -1, None: 0, ".post": 1}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def version_key(text: str) -> tuple[tuple[int, ...], int, int] | None:
    """What versions are ordered by; None for what is no version of ours. 1.4 and 1.4.0 are the same."""
    match = _VERSION.match(text)
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    numbers += [0] * (4 - len(numbers))
    return tuple(numbers), _STAGES[match[2]], int(match[3] or 0)


def comparison(text: str) -> Callable[[str], bool] | None:
    """`<1.4` as a test of a version; None for what is no comparison. A version that nobody can order passes none."""
    sign = next((sign for sign in _COMPARE if text.startswith(sign)), None)
    if sign is None or (wanted := version_key(text[len(sign) :])) is None:
        return None

    def holds(version: str) -> bool:
        found = version_key(version)
        return found is not None and _COMPARE[sign](found, wanted)

    return holds
