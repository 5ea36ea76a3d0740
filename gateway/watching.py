"""Which devices that are seen and not configured may come in, and as what: the watch rules of channels. Pure values.

A pattern always has to fit the whole text. What was seen is somebody else's text: it is matched, never believed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

LONGEST_TEXT = 256
"""Characters of a property that are looked at and kept."""
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LONGEST_ID = 64

Patterns = tuple[tuple[str, tuple[str, ...]], ...]
"""(property, its patterns) in the order of the file."""


class PatternError(ValueError):
    """A pattern that is no regular expression."""


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """`/.../` is a regular expression; anything else is a text in which `*` and `?` stand for characters, without
    regard to case. Raises PatternError.
    """
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            return re.compile(pattern[1:-1])
        except re.error as error:
            raise PatternError(f"{pattern} is no regular expression: {error}") from error
    words = {"*": ".*", "?": "."}
    return re.compile("".join(words.get(sign) or re.escape(sign) for sign in pattern), re.IGNORECASE | re.DOTALL)


class WatchSpec(Struct, frozen=True):
    """One watch rule. Every property of `match` has to fit one of its patterns, and none of `block` may fit.

    `id` is the template of the device's id, `keys` its further keys; `{name}`, `{address}`... in both stand for
    properties of what was seen. `auto`: nobody is asked. `limit`: devices that come in by this rule.
    """

    channel: str
    name: str
    match: Patterns
    block: Patterns = ()
    profile: str = ""
    id: str = "{name}"
    keys: dict[str, Any] = {}
    auto: bool = False
    limit: int = 50

    def fits(self, properties: Mapping[str, str]) -> bool:
        """Whether what has these properties is wanted by this rule."""
        wanted = all(_fits(properties.get(key), patterns) for key, patterns in self.match)
        return wanted and not any(_fits(properties.get(key), patterns) for key, patterns in self.block)

    def blocks(self, properties: Mapping[str, str]) -> bool:
        """Whether it would be wanted if nothing of `block` fitted."""
        return all(_fits(properties.get(key), patterns) for key, patterns in self.match) and not self.fits(properties)


def _fits(text: str | None, patterns: Iterable[str]) -> bool:
    return text is not None and any(compiled(pattern).fullmatch(text) for pattern in patterns)


def filled(template: Any, properties: Mapping[str, str]) -> Any:
    """A template (data) with its placeholders replaced. A property that is not there is an empty text."""
    if isinstance(template, dict):
        return {key: filled(value, properties) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, properties) for value in template]
    if isinstance(template, str):
        return _PLACEHOLDER.sub(lambda match: properties.get(match[1], ""), template)
    return template


def device_id(text: str, taken: Iterable[str]) -> str:
    """The nearest id to a text that no device has: other signs become `-`, a number tells two apart."""
    base = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-_")[:_LONGEST_ID] or "device"
    known = set(taken)
    found, number = base, 2
    while found in known:
        ending = f"-{number}"
        found, number = base[: _LONGEST_ID - len(ending)] + ending, number + 1
    return found
