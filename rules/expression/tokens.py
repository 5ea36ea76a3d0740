"""Tokens: what the characters of an expression are, before anything is known of tags.

Python's own tokeniser never sees a character that a person wrote: it reads `line1-plc00.temperature` as a minus and
`1st.in` as an error.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.rulebook import ExpressionError
from rules.expression.foreign import OPERATORS, foreign_operator
from rules.expression.numbers import scan_number
from rules.expression.wording import name_of, short

MAX_CHARACTERS = 1000
MAX_TEXT = 200
KEYWORDS = frozenset({"and", "or", "not", "in", "if", "else"})
CONSTANTS = {"true": True, "True": True, "false": False, "False": False}
_DIGITS = frozenset("0123456789")
_SPACE = " \t\r\n"
_WORD = re.compile(r"[^\W\d]\w*(?:(?:-+|\.|/)\w+)*")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CALL = re.compile(r"[ \t\r\n]*\(")


class Kind(enum.Enum):
    """`CALL`: the name of a function before its bracket. `TIME`: 10s. `SAMPLES`: 10 samples."""

    TAG = enum.auto()
    CALL = enum.auto()
    KEYWORD = enum.auto()
    CONSTANT = enum.auto()
    TIME = enum.auto()
    SAMPLES = enum.auto()
    OPERATOR = enum.auto()
    OPEN = enum.auto()
    CLOSE = enum.auto()
    COMMA = enum.auto()


class Token(NamedTuple):
    """`text` as written, `at` its offset. `value`: of a constant; of TIME milliseconds; of SAMPLES their number; of TAG
    the name without braces.
    """

    kind: Kind
    text: str
    at: int
    value: Any = None

    @property
    def end(self) -> int:
        return self.at + len(self.text)


def tokenise(text: str) -> Iterator[Token]:
    """The tokens of `text`, at least one. Raises ExpressionError where a character has no place."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"{len(text)} characters, at most {MAX_CHARACTERS} are possible",
            MAX_CHARACTERS,
            "move a part of it into a computed tag",
        )
    if not text.strip(_SPACE):
        raise ExpressionError("it is empty", 0)
    at = 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
            continue
        token = _next(text, at)
        yield token
        at = token.end


def _next(text: str, at: int) -> Token:
    char = text[at]
    if char == "{":
        return _braced(text, at)
    if char in "\"'":
        return _quoted(text, at)
    if char in _DIGITS or (char == "." and text[at + 1 : at + 2] in _DIGITS):
        return _number(text, at)
    word = _WORD.match(text, at)
    if word is not None:
        return _word(text, at, word[0])
    return _operator(text, at)


def _operator(text: str, at: int) -> Token:
    char = text[at]
    if char in "([":
        return Token(Kind.OPEN, char, at)
    if char in ")]":
        return Token(Kind.CLOSE, char, at)
    if char == ",":
        return Token(Kind.COMMA, char, at)
    written, reason, hint = foreign_operator(text, at)
    if written not in OPERATORS:
        raise ExpressionError(reason, at, hint)
    return Token(Kind.OPERATOR, written, at)


def _number(text: str, at: int) -> Token:
    found = scan_number(text, at)
    kind = {"": Kind.CONSTANT, "time": Kind.TIME, "samples": Kind.SAMPLES}[found.unit]
    return Token(kind, text[at : found.end], at, found.value)


def _word(text: str, at: int, word: str) -> Token:
    only_ascii(word, at)
    after = text[at + len(word) : at + len(word) + 1]
    if after and after in "\"'" and word not in KEYWORDS:
        raise ExpressionError(f"`{short(word)}` before a text means nothing here", at, "write the text in quotes alone")
    if word in KEYWORDS:
        return Token(Kind.KEYWORD, word, at)
    if word in CONSTANTS:
        return Token(Kind.CONSTANT, word, at, CONSTANTS[word])
    if _CALL.match(text, at + len(word)) is None:
        return Token(Kind.TAG, word, at, word)
    if _PLAIN.match(word) is None:
        raise ExpressionError(
            f"`{short(word)}` is no function: tags have no methods", at, "functions stand alone: abs(x)"
        )
    return Token(Kind.CALL, word, at)


def _braced(text: str, at: int) -> Token:
    end = text.find("}", at)
    inner = text.find("{", at + 1, end if end >= 0 else len(text))
    if inner >= 0:
        raise ExpressionError("a brace within braces", inner, "a tag stands in one pair: {device.tag}")
    if end < 0:
        raise ExpressionError("this brace is never closed", at, "write {device.tag}")
    written = text[at + 1 : end]
    name = written.strip(" ")
    only_ascii(written, at + 1)
    if not name:
        raise ExpressionError("there is no tag in these braces", at, "write {device.tag}")
    return Token(Kind.TAG, text[at : end + 1], at, name)


def _quoted(text: str, at: int) -> Token:
    quote, letters, here = text[at], [], at + 1
    while here < len(text) and text[here] != quote:
        if text[here] == "\\":
            here += 1
            if text[here : here + 1] not in {"\\", "'", '"'}:
                raise ExpressionError("a backslash stands only before a quote or a backslash", here - 1, "write \\\\")
        elif not text[here].isprintable():
            raise ExpressionError(f"{name_of(text[here])} cannot be in a text", here)
        letters.append(text[here])
        here += 1
    if here >= len(text):
        raise ExpressionError("this text is never closed", at, f"end it with {quote}")
    if len(letters) > MAX_TEXT:
        raise ExpressionError(f"a text of {len(letters)} characters, at most {MAX_TEXT} are possible", at)
    return Token(Kind.CONSTANT, text[at : here + 1], at, "".join(letters))


def only_ascii(name: str, at: int) -> None:
    """Letters that look like others would name a tag that does not exist."""
    for place, char in enumerate(name, at):
        if not " " <= char <= "~":
            raise ExpressionError(
                f"{name_of(char)} cannot be in a name", place, "ids are letters a to z, digits, `_` and `-`"
            )
