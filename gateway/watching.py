"""Which devices that are seen and not configured may come in, and as what: the watch rules of channels. Pure values.

A pattern always has to fit the whole text. What was seen is somebody else's text: it is matched, never believed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from gateway.patterns import Expression, PatternError

LONGEST_TEXT = 256
"""Characters of a property that are looked at and kept."""
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LONGEST_ID = 64
_SHOWN = 60

Patterns = tuple[tuple[str, tuple[str, ...]], ...]
"""(property, its patterns) in the order of the file."""


class Pattern:
    """What a text as a whole has to be. Raises PatternError."""

    def __init__(self, written: str) -> None:
        self._expression: Expression | None = None
        self._words: re.Pattern[str] | None = None
        if len(written) > 1 and written.startswith("/") and written.endswith("/"):
            try:
                self._expression = Expression(written[1:-1])
            except PatternError as error:
                raise PatternError(f"{_shown(written)} is no regular expression that can be used: {error}") from error
        else:
            self._words = _words(written)

    def fits(self, text: str) -> bool:
        """Whether it fits the whole text."""
        if self._expression is not None:
            return self._expression.fits(text)
        return self._words is not None and self._words.fullmatch(text) is not None


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """`/.../` is a regular expression; anything else is a text in which `*` and `?` stand for characters, without
    regard to case. Raises PatternError.
    """
    return Pattern(pattern)


def _words(written: str) -> re.Pattern[str]:
    """Each piece between two `*` is taken where it stands first and never sought again, so many `*` cost no more."""
    pieces = ["".join("." if sign == "?" else re.escape(sign) for sign in piece) for piece in written.split("*")]
    first, last = pieces[0], pieces[-1]
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1] if piece)
    return re.compile(first + (f"{middle}.*{last}" if len(pieces) > 1 else ""), re.IGNORECASE | re.DOTALL)


def _shown(pattern: str) -> str:
    return pattern if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]}..."


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
    return text is not None and any(compiled(pattern).fits(text) for pattern in patterns)


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


__all__ = ["LONGEST_TEXT", "Pattern", "PatternError", "Patterns", "WatchSpec", "compiled", "device_id", "filled"]
