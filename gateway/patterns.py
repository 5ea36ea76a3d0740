"""Regular expressions over strangers' texts: a match takes steps in proportion to the text, whatever the pattern is.

Python's own matcher tries one way after the other, and `(a+)+$` has more ways than there is time. Here all ways are
followed at once, a character at a time. What cannot be followed like that (look-arounds, references back to a group) is
refused when the pattern is read, and so is a pattern that is too large.
"""

from __future__ import annotations

import functools
import importlib
import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

MOST_STATES = 500
"""Characters and choices of a pattern, counted repeats written out."""
LONGEST_PATTERN = 1000
_MOST_VISITS = 20 * MOST_STATES
_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE | re.ASCII
_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
_PLACES = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": r"\A",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
    "AT_END": "$",
    "AT_END_STRING": r"\Z",
}
_REFUSED = {
    "ASSERT": "a look-around",
    "ASSERT_NOT": "a look-around",
    "GROUPREF": "a reference back to a group",
    "GROUPREF_EXISTS": "a condition on a group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repeat",
}
_READER: Any = importlib.import_module("re._parser")
"""What Python itself reads a pattern with: there is no public name for it."""


class PatternError(ValueError):
    """A pattern that is no regular expression, or none that is accepted; the text says what is wrong with it."""


class _State(Struct):
    """A character that is wanted (`character`), a place in the text (`place`), or a choice of what follows."""

    follow: list[int]
    character: Callable[[str], object] | None = None
    place: re.Pattern[str] | None = None


class Expression:
    """One regular expression, ready to be matched. Raises PatternError."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > LONGEST_PATTERN:
            raise PatternError(f"longer than {LONGEST_PATTERN} characters")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read = _READER.parse(pattern)
            self._states = [_State([])]
            self._start = _Builder(self._states).sequence(read, 0, read.state.flags)
        except (re.error, OverflowError, Warning) as error:
            raise PatternError(str(error)) from error
        except RecursionError as error:
            raise PatternError("nested too deep") from error

    def __len__(self) -> int:
        return len(self._states)

    def fits(self, text: str) -> bool:
        """Whether the pattern fits the whole text."""
        now = self._reached([self._start], text, 0)
        for at, sign in enumerate(text):
            if not now:
                return False
            after = []
            for number in now:
                state = self._states[number]
                if state.character is not None and state.character(sign):
                    after.append(state.follow[0])
            now = self._reached(after, text, at + 1)
        return 0 in now

    def _reached(self, first: Iterable[int], text: str, at: int) -> set[int]:
        """All states that stand at a place of the text before its next character; 0 is the end of the pattern."""
        reached: set[int] = set()
        waiting = list(first)
        while waiting:
            number = waiting.pop()
            if number in reached:
                continue
            reached.add(number)
            state = self._states[number]
            if state.character is None and (state.place is None or state.place.match(text, at)):
                waiting += state.follow
        return reached


class _Builder:
    """Makes states of what was read, from its end to its beginning: each part gets the state that follows it."""

    def __init__(self, states: list[_State]) -> None:
        self._states = states
        self._visits = 0

    def sequence(self, items: Any, after: int, flags: int) -> int:
        for op, value in reversed(list(items)):
            after = self._part(str(op), value, after, flags)
        return after

    def _part(self, op: str, value: Any, after: int, flags: int) -> int:
        self._visits += 1
        if self._visits > _MOST_VISITS:
            raise PatternError("too large: its counted repeats stand for too much")
        if op in _REFUSED:
            raise PatternError(f"{_REFUSED[op]} is not accepted")
        if op == "SUBPATTERN":
            _, added, removed, inside = value
            return self.sequence(inside, after, (flags | added) & ~removed)
        if op == "BRANCH":
            return self._add(_State([self.sequence(each, after, flags) for each in value[1]]))
        if op in {"MAX_REPEAT", "MIN_REPEAT"}:
            least, most, inside = value
            return self._repeat(least, most, inside, after, flags)
        if op == "AT":
            return self._add(_State([after], place=_compiled(_PLACES[str(value)], flags & _FLAGS)))
        return self._add(_State([after], character=_compiled(_class(op, value), flags & _FLAGS).match))

    def _repeat(self, least: int, most: int, inside: Any, after: int, flags: int) -> int:
        first = after
        if most == _READER.MAXREPEAT:
            first = self._add(_State([after]))
            self._states[first].follow.append(self.sequence(inside, first, flags))
        else:
            for _ in range(min(most - least, MOST_STATES + 1)):
                first = self._add(_State([after, self.sequence(inside, first, flags)]))
        for _ in range(min(least, _MOST_VISITS)):
            first = self.sequence(inside, first, flags)
        return first

    def _add(self, state: _State) -> int:
        if len(self._states) >= MOST_STATES:
            raise PatternError(f"too large: it stands for more than {MOST_STATES} characters")
        self._states.append(state)
        return len(self._states) - 1


def _class(op: str, value: Any) -> str:
    """One character as a pattern of its own: Python judges it, with its rules for case and alphabets."""
    if op == "ANY":
        return "."
    if op in {"LITERAL", "NOT_LITERAL"}:
        return f"[{'^' if op == 'NOT_LITERAL' else ''}{_sign(value)}]"
    if op != "IN":
        raise PatternError(f"{op.lower()} is not accepted")
    parts = []
    for kind, each in value:
        name = str(kind)
        if name == "CATEGORY":
            word = str(each).removeprefix("CATEGORY_")
            parts.append(_CATEGORIES[word.removeprefix("NOT_")].swapcase() if "NOT_" in word else _CATEGORIES[word])
        elif name == "RANGE":
            parts.append(f"{_sign(each[0])}-{_sign(each[1])}")
        else:
            parts.append("^" if name == "NEGATE" else _sign(each))
    return f"[{''.join(parts)}]"


def _sign(code: int) -> str:
    return f"\\U{code:08x}"


@functools.lru_cache(maxsize=1024)
def _compiled(source: str, flags: int) -> re.Pattern[str]:
    return re.compile(source, flags)


__all__ = ["LONGEST_PATTERN", "MOST_STATES", "Expression", "PatternError"]
