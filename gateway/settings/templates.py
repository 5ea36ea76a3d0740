"""Ranges of devices (`meter{01..30}`) and values with parameters (`"holding/{base + n * 10}"`).

A value that is one pair of braces keeps the result's type; in a longer text the result becomes text. `{{` and `}}`
stand for braces. Expressions have numbers, names, `+ - *`, a leading minus and parentheses; `{base + 2:x}` gives
hexadecimal digits, for `holding/0x{base + 2:x}`.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

MAX_RANGE = 1000
MAX_EXPRESSION = 100
_RANGE = re.compile(r"(?P<head>[^{}]*)\{(?P<first>\d+)\.\.(?P<last>\d+)\}(?P<tail>[^{}]*)\Z")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_LIMIT = 2**63
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


class TemplateError(ValueError):
    """A range or an expression cannot be used; the text says why. `name` is set when a name is not known."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


def expand_name(name: str) -> list[tuple[str, int | None]]:
    """The names a device key stands for, each with its number: `m{1..2}` gives (m1, 1), (m2, 2). Others stay alone."""
    if "{" not in name and "}" not in name:
        return [(name, None)]
    match = _RANGE.match(name)
    if match is None:
        raise TemplateError(f"`{name}` is not a range: write it as meter{{01..30}}")
    first, last = int(match["first"]), int(match["last"])
    if first > last:
        raise TemplateError(f"the range {first}..{last} counts down: write {{{match['last']}..{match['first']}}}")
    if last - first >= MAX_RANGE:
        raise TemplateError(f"a range makes at most {MAX_RANGE} devices, this one {last - first + 1}")
    width = len(match["first"]) if match["first"].startswith("0") else 1
    return [(f"{match['head']}{n:0{width}}{match['tail']}", n) for n in range(first, last + 1)]


def parameter_fault(name: str) -> str:
    """Why an expression could not name a parameter, as a hint; empty for a good name."""
    if name == "n":
        return "`n` is the number of a range"
    return "" if name.isidentifier() else "write a word of letters, digits and _"


def has_braces(value: Any) -> bool:
    """Whether any text in `value` has something to replace."""
    if isinstance(value, str):
        return "{" in value or "}" in value
    if isinstance(value, dict):
        return any(has_braces(item) for item in value.values())
    return isinstance(value, list) and any(has_braces(item) for item in value)


def fill(text: str, scope: Mapping[str, Any], used: set[str]) -> Any:
    """`text` with its braces replaced; names that were read are added to `used`. Raises TemplateError."""
    if "{" not in text and "}" not in text:
        return text
    whole = _BRACES.fullmatch(text)
    if whole and whole[1] is not None and ":" not in whole[1]:
        return evaluate(whole[1], scope, used)

    def one(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        expression, _, form = match[1].partition(":")
        value = evaluate(expression, scope, used)
        if isinstance(value, dict | list) or value is None:
            kind = "nothing" if value is None else "a list" if isinstance(value, list) else "a mapping"
            raise TemplateError(f"`{{{expression}}}` is {kind}, and cannot stand inside a text")
        if form:
            return _hexadecimal(value, match[1]) if form.strip() == "x" else _bad_form(match[1])
        return str(value).lower() if isinstance(value, bool) else str(value)

    filled = _BRACES.sub(one, text)
    left = _BRACES.sub("", text)
    if "{" in left or "}" in left:
        raise TemplateError("a brace has no partner: write {{ or }} for a brace itself")
    return filled


def fill_known(text: str, scope: Mapping[str, Any], used: set[str]) -> Any:
    """`text` with those braces replaced that hold parameters only: in expressions and texts of alarms braces name tags,
    too. `{{`, forms of numbers and everything unknown stay as they are.
    """
    whole = _BRACES.fullmatch(text)
    if whole and whole[1] is not None:
        return _known(whole, scope, used)

    def one(match: re.Match[str]) -> str:
        value = match[0] if match[1] is None else _known(match, scope, used)
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _BRACES.sub(one, text)


def _known(match: re.Match[str], scope: Mapping[str, Any], used: set[str]) -> Any:
    """What a pair of braces stands for; itself when it names no parameter, or anything besides."""
    read: set[str] = set()
    try:
        value = evaluate(match[1], scope, read)
    except TemplateError:
        return match[0]
    used |= read
    return value if read else match[0]


def _hexadecimal(value: Any, text: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TemplateError(f"`{{{text}}}`: only a whole number that is not negative has hexadecimal digits")
    return f"{value:x}"


def _bad_form(text: str) -> str:
    raise TemplateError(f"`{{{text}}}`: the only form is `:x`, hexadecimal digits")


def evaluate(text: str, scope: Mapping[str, Any], used: set[str]) -> Any:
    """The value of one expression. Raises TemplateError."""
    if len(text) > MAX_EXPRESSION:
        raise TemplateError(f"an expression has at most {MAX_EXPRESSION} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise TemplateError(f"`{{{text}}}` is not a parameter or an expression with + - *") from error
    return _evaluate(tree.body, text, scope, used)


def _evaluate(node: ast.expr, text: str, scope: Mapping[str, Any], used: set[str]) -> Any:
    match node:
        case ast.Name(id=name):
            if name not in scope:
                raise TemplateError(f"there is no parameter `{name}`", name)
            used.add(name)
            return scope[name]
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(_evaluate(operand, text, scope, used), text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a = _number(_evaluate(left, text, scope, used), text)
            b = _number(_evaluate(right, text, scope, used), text)
            result = _OPERATORS[type(op)](a, b)
            if abs(result) >= _LIMIT:
                raise TemplateError(f"`{{{text}}}` gives a number that is too large")
            return result
    raise TemplateError(f"`{{{text}}}`: only numbers, parameters, + - * and parentheses are known here")


def _number(value: Any, text: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TemplateError(f"`{{{text}}}` reckons with `{value}`, which is not a number")
    return value
