"""The order of tokens: operands and operators alternate, brackets match, `if` has its `else`.

What passes is turned into a text of names that we made (`t0 > k2`), so Python's parser never meets anything of a
person's but the order of operators, and every error is found here with its own place and words.
"""

from __future__ import annotations

import ast
from bisect import bisect_right

from gateway.rulebook import ExpressionError
from rules.expression.foreign import COMPARISONS
from rules.expression.tokens import Kind, Token
from rules.expression.wording import short

MAX_OPERANDS = 200
MAX_NESTING = 20
_PREFIX = {
    Kind.TAG: "t",
    Kind.CALL: "f",
    Kind.CONSTANT: "k",
    Kind.TIME: "d",
    Kind.SAMPLES: "n",
}
_SIGNS = frozenset({"-", "+"})
_CLOSING = {"(": ")", "[": "]"}


class Tree:
    """A parsed expression: its syntax tree over made names, and the way back from a node to its token."""

    def __init__(self, tokens: list[Token]) -> None:
        """Raises ExpressionError."""
        check_shape(tokens)
        self.tokens = tokens
        words = [
            _PREFIX.get(token.kind, "") + (str(i) if token.kind in _PREFIX else token.text)
            for i, token in enumerate(tokens)
        ]
        self._starts: list[int] = []
        at = 0
        for word in words:
            self._starts.append(at)
            at += len(word) + 1
        self.root = self._parse(" ".join(words))

    def token(self, node: ast.expr) -> Token:
        """The first token of `node`; for a Name the one that it stands for."""
        return self._at(node.col_offset)

    def _at(self, column: int) -> Token:
        return self.tokens[max(0, bisect_right(self._starts, column) - 1)]

    def _parse(self, source: str) -> ast.expr:
        try:
            return ast.parse(source, mode="eval").body
        except SyntaxError as error:
            token = self._at((error.offset or 1) - 1)
            raise ExpressionError(
                f"`{short(token.text)}` cannot stand here", token.at, "parentheses say what belongs together"
            ) from None
        except (ValueError, RecursionError, MemoryError):
            raise ExpressionError("it is nested too deeply", 0) from None


class _Level:
    """Between two brackets. `opened_by`: None outside of all brackets."""

    def __init__(self, opened_by: Token | None, *, is_call: bool = False) -> None:
        self.opened_by = opened_by
        self.is_call = is_call
        self.ifs: list[Token] = []


class _Checker:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._levels = [_Level(None)]
        self._before: Token | None = None
        self._wants_operand = True
        self._prefixes = 0
        self._operands = 0
        self._place = 0

    def run(self) -> None:
        for place, token in enumerate(self._tokens):
            self._place = place
            self._take(token, self._tokens[place + 1] if place + 1 < len(self._tokens) else None)
            self._before = token
        self._place, last = len(self._tokens), self._tokens[-1]
        if len(self._levels) > 1:
            opened = self._levels[-1].opened_by
            assert opened is not None
            raise ExpressionError("this bracket is never closed", opened.at, f"`{_CLOSING[opened.text]}` is missing")
        if self._wants_operand:
            raise ExpressionError(f"something is missing after `{short(last.text)}`", last.end, self._unit())
        self._no_open_if()

    def _take(self, token: Token, following: Token | None) -> None:
        if token.kind in _PREFIX:
            self._operand(token)
        elif token.kind is Kind.OPEN:
            self._open(token)
        elif token.kind is Kind.CLOSE:
            self._close(token)
        elif token.kind is Kind.COMMA:
            self._comma(token)
        else:
            self._operator(token, following)

    def _operand(self, token: Token) -> None:
        if not self._wants_operand:
            assert self._before is not None
            raise ExpressionError(
                f"an operator is missing between `{short(self._before.text)}` and `{short(token.text)}`",
                token.at,
                self._unit() if token.kind is Kind.TAG and token.text.isalpha() else "",
            )
        self._operands += 1
        if self._operands > MAX_OPERANDS:
            raise ExpressionError(f"more than {MAX_OPERANDS} parts", token.at, "move a part of it into a computed tag")
        self._prefixes = 0
        self._wants_operand = token.kind is Kind.CALL  # its bracket follows, the tokeniser has seen it

    def _open(self, token: Token) -> None:
        is_call = self._before is not None and self._before.kind is Kind.CALL
        if not self._wants_operand:
            if token.text == "[":
                raise ExpressionError("a tag has no parts to pick from", token.at, "give the element a tag of its own")
            assert self._before is not None
            raise ExpressionError(
                f"an operator is missing before this bracket: `{short(self._before.text)}` is no function", token.at
            )
        self._levels.append(_Level(token, is_call=is_call))
        if len(self._levels) > MAX_NESTING + 1:
            raise ExpressionError(f"more than {MAX_NESTING} brackets in each other", token.at)
        self._prefixes = 0

    def _close(self, token: Token) -> None:
        level = self._levels[-1]
        if level.opened_by is None:
            raise ExpressionError("this bracket was never opened", token.at)
        if _CLOSING[level.opened_by.text] != token.text:
            raise ExpressionError(
                f"`{token.text}` does not close `{level.opened_by.text}`",
                token.at,
                f"`{_CLOSING[level.opened_by.text]}`",
            )
        if self._wants_operand:
            self._closes_early(token, level)
        self._no_open_if()
        self._levels.pop()
        self._wants_operand = False

    def _closes_early(self, token: Token, level: _Level) -> None:
        before = self._before
        assert before is not None
        if before is level.opened_by:
            if not level.is_call:
                raise ExpressionError("nothing stands in these brackets", before.at)
        elif before.kind is not Kind.COMMA:
            raise ExpressionError(f"something is missing after `{short(before.text)}`", token.at, self._unit())

    def _comma(self, token: Token) -> None:
        if self._wants_operand:
            raise ExpressionError("something is missing before this comma", token.at)
        if self._levels[-1].opened_by is None:
            before = self._before
            decimal = before is not None and before.kind is Kind.CONSTANT and before.text.isdigit()
            raise ExpressionError(
                "a comma stands only within brackets", token.at, "a number has a point: 1.5" if decimal else ""
            )
        self._no_open_if()
        self._wants_operand = True

    def _operator(self, token: Token, following: Token | None) -> None:
        if self._wants_operand:
            self._prefix(token)
            return
        self._prefixes = 0
        self._wants_operand = True
        if token.text == "not":
            if following is None or following.text != "in":
                raise ExpressionError(
                    "an operator is missing before `not`", token.at, "`and not`, `or not` or `not in`"
                )
            self._wants_operand = False
        elif token.text == "if":
            self._levels[-1].ifs.append(token)
        elif token.text == "else":
            if not self._levels[-1].ifs:
                raise ExpressionError("`else` without `if`", token.at, "write `x if condition else y`")
            self._levels[-1].ifs.pop()

    def _prefix(self, token: Token) -> None:
        if token.text not in _SIGNS and token.text != "not":
            hint = "write `x if condition else y`" if token.text in {"if", "else"} else ""
            hint = hint or self._unit()
            if token.kind is Kind.KEYWORD and not hint:
                hint = f"a tag of that name stands in braces: {{{token.text}}}"
            raise ExpressionError(f"something is missing before `{token.text}`", token.at, hint)
        if token.text == "not" and self._before is not None and self._before.kind is Kind.OPERATOR:
            compared = self._before.text in COMPARISONS
            hint = f"write `{self._before.text} (not x)`" if compared else "write `(not x)`"
            raise ExpressionError(f"`not` cannot follow `{self._before.text}`", token.at, hint)
        self._prefixes += 1
        if self._prefixes > MAX_NESTING:
            raise ExpressionError(f"more than {MAX_NESTING} signs in a row", token.at)

    def _unit(self) -> str:
        """The hint where a number with a unit stands before this place: `80 %`, `80 rpm`."""
        before = self._tokens[: self._place]
        if before and before[-1].text == "%":
            before = before[:-1]
        number = before[-1] if before else None
        if number is None or number.kind is not Kind.CONSTANT or isinstance(number.value, str | bool):
            return ""
        return f"a number has no unit here: write {short(number.text)}"

    def _no_open_if(self) -> None:
        if self._levels[-1].ifs:
            opened = self._levels[-1].ifs[-1]
            raise ExpressionError("this `if` has no `else`", opened.at, "write `x if condition else y`")


def check_shape(tokens: list[Token]) -> None:
    """Whether the tokens can stand in this order. Raises ExpressionError at the first that cannot."""
    _Checker(tokens).run()
