"""The tags of an expression, and constants that were probably meant where a word names none: `mode == night`."""

from __future__ import annotations

from gateway.model import TagSpec, ValueType
from gateway.rulebook import ExpressionError
from rules.expression.names import Named, Names
from rules.expression.tokens import Kind, Token

_BOOLS = {"on": "true", "yes": "true", "off": "false", "no": "false"}
_EQUAL = frozenset({"==", "!="})
_LISTED = frozenset({Kind.CONSTANT, Kind.TAG, Kind.COMMA})


def tags_of(names: Names, tokens: list[Token]) -> dict[int, Named]:
    """The tag of each TAG token, by the token's offset. Raises ExpressionError with what was probably meant."""
    named: dict[int, Named] = {}
    for place, token in enumerate(tokens):
        if token.kind is not Kind.TAG:
            continue
        try:
            named[token.at] = names.resolve(token)
        except ExpressionError as error:
            hint = _constant(names, tokens, place) if error.absent else ""
            if not hint:
                raise
            raise ExpressionError(str(error), error.offset, hint, absent=error.absent) from None
    return named


def _constant(names: Names, tokens: list[Token], place: int) -> str:
    """How the word at `place` is written as a constant of the tag that it is compared with."""
    word = tokens[place].text
    other = _compared(tokens, place)
    if not word.isidentifier() or other is None or other.kind is not Kind.TAG:
        return ""
    found = names.find(other.value)
    return "" if found is None else constant_of(found.spec, word)


def constant_of(spec: TagSpec, word: str) -> str:
    """How `word` is written as a value of the tag, as a hint; empty where it is none."""
    for number, label in spec.labels:
        if label == word:
            return f"`{word}` is the label of {number}: write {number}"
    if spec.type is ValueType.BOOL:
        meant = _BOOLS.get(word.lower())
        return f"write `{meant}`" if meant else "a bool is `true` or `false`"
    return f'a text stands in quotes: "{word}"' if spec.type is ValueType.STRING else ""


def _compared(tokens: list[Token], place: int) -> Token | None:
    """The operand that the one at `place` is compared with."""
    if place >= 2 and tokens[place - 1].text in _EQUAL:
        return tokens[place - 2]
    if place + 2 < len(tokens) and tokens[place + 1].text in _EQUAL:
        return tokens[place + 2]
    before = place - 1
    while before >= 0 and tokens[before].kind in _LISTED:
        before -= 1
    if before >= 2 and tokens[before].kind is Kind.OPEN and tokens[before - 1].text == "in":
        return tokens[before - 3] if tokens[before - 2].text == "not" else tokens[before - 2]
    return None
