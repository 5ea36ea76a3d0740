"""Parts of a generated function while it is written."""

from __future__ import annotations

import enum
from typing import NamedTuple

from rules.expression.types import Type

Literal = bool | int | float | str


class Level(enum.IntEnum):
    """How tightly an operator binds in Python; what binds less tightly than its surroundings gets parentheses."""

    CONDITIONAL = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARE = 4
    SUM = 5
    PRODUCT = 6
    SIGN = 7
    ATOM = 8


class Code(NamedTuple):
    """A part with its type. `T5` in `text` stands for the slot of tag 5 until the function is bound.

    `literal`: the constant that it is. `floats`: its value is a float. `tag`: the number of the tag whose value it is,
    -1 for anything else. `is_quality`: it is a quality as text.
    """

    text: str
    type: Type
    level: Level = Level.ATOM
    literal: Literal | None = None
    floats: bool = False
    tag: int = -1
    is_quality: bool = False

    def within(self, level: Level) -> str:
        """The text, in parentheses unless it binds at least as tightly as `level`."""
        return self.text if self.level >= level else f"({self.text})"


def literal_number(value: float, level: Level = Level.ATOM) -> Code:
    return Code(repr(value), Type.NUMBER, level, value, isinstance(value, float))


def align(left: Code, right: Code) -> tuple[Code, Code]:
    """Whole constants beside floats become floats: Python works fastest on two of a kind."""
    return _floated(left, beside=right), _floated(right, beside=left)


def _floated(code: Code, beside: Code) -> Code:
    value = code.literal
    if not beside.floats or not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**53:
        return code
    return literal_number(float(value), code.level)
