"""Functions that can be called: how many things each takes, and what is written for it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from rules.expression import tagfunctions
from rules.expression.code import Code
from rules.expression.foreign import FUNCTIONS as FOREIGN
from rules.expression.tokens import Kind
from rules.expression.types import Type
from rules.expression.wording import nearest, short

if TYPE_CHECKING:
    from rules.expression.writer import Writer

_MOST_DIGITS = 15

Build = Callable[["Writer", str, ast.Call], Code]


class Function(Struct, frozen=True):
    """`least` and `most`: how many arguments. `usage`: how it is called, for people."""

    build: Build
    least: int
    most: int
    usage: str


def call(writer: Writer, node: ast.Call) -> Code:
    """A call of one of FUNCTIONS."""
    token = writer.tree.token(node.func)
    function = FUNCTIONS.get(token.text)
    if function is None:
        near = FOREIGN.get(token.text.lower()) or nearest(token.text, sorted(FUNCTIONS))
        known = FUNCTIONS.get(near)
        hint = f"did you mean `{known.usage if known else near}`?" if near else f"known: {', '.join(sorted(FUNCTIONS))}"
        writer.fail(node, f"there is no function `{short(token.text)}`", hint)
    given = len(node.args)
    if given < function.least:
        writer.fail(node, *_too_few(writer, token.text, function, node))
    if given > function.most:
        writer.fail(
            node.args[function.most],
            f"`{token.text}` takes at most {function.most}, here are {given}",
            f"write {function.usage}",
        )
    return function.build(writer, token.text, node)


def _too_few(writer: Writer, name: str, function: Function, node: ast.Call) -> tuple[str, str]:
    """What is said of a call with too few arguments, and its hint."""
    if function.build is not tagfunctions.window_figure:
        return f"`{name}` takes at least {function.least}, here are {len(node.args)}", f"write {function.usage}"
    tag = writer.written(node.args[0]) if node.args else "tag"
    return f"`{name}` takes a tag and a time", f"write {name}({'tag' if tag == '...' else tag}, 5m)"


def _plain(writer: Writer, name: str, node: ast.Call) -> Code:
    codes = [writer.numeric(argument, f"given to {name}") for argument in node.args]
    return Code(f"{name}({', '.join(code.text for code in codes)})", Type.NUMBER, floats=name == "sqrt")


def _extreme(writer: Writer, name: str, node: ast.Call) -> Code:
    """`min` and `max`: of several values, or over a window of one tag."""
    second = writer.tree.token(node.args[1]) if len(node.args) > 1 else None
    if second is not None and second.kind in {Kind.TIME, Kind.SAMPLES}:
        return tagfunctions.window_figure(writer, name, node)
    if second is None:
        writer.fail(node, f"`{name}` of one thing", f"write {name}(a, b) or {name}(tag, 5m)")
    return _plain(writer, name, node)


def _round(writer: Writer, name: str, node: ast.Call) -> Code:
    x = writer.numeric(node.args[0], "rounded")
    if len(node.args) == 1:
        return Code(f"round({x.text})", Type.NUMBER)
    digits = writer.visit(node.args[1]).literal
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= _MOST_DIGITS:
        writer.fail(node.args[1], f"digits to round to are a constant from 0 to {_MOST_DIGITS}", f"write {name}(x, 1)")
    return Code(f"round({x.text}, {digits})", Type.NUMBER)


def _clamp(writer: Writer, name: str, node: ast.Call) -> Code:
    x, low, high = (writer.numeric(argument, f"given to {name}") for argument in node.args)
    _ordered(writer, low, high, node.args[1], strict=False)
    return Code(f"clamp({x.text}, {low.text}, {high.text})", Type.NUMBER)


def _scale(writer: Writer, name: str, node: ast.Call) -> Code:
    codes = [writer.numeric(argument, f"given to {name}") for argument in node.args]
    if codes[1].literal is not None and codes[1].literal == codes[2].literal:
        writer.fail(node.args[2], "in_low and in_high are the same")
    return Code(f"scale({', '.join(code.text for code in codes)})", Type.NUMBER, floats=True)


def _hysteresis(writer: Writer, name: str, node: ast.Call) -> Code:
    x, low, high = (writer.numeric(argument, f"given to {name}") for argument in node.args)
    _ordered(writer, low, high, node.args[1], strict=True)
    return Code(f"given({writer.latch(x, low, high)})", Type.BOOL)


def _ordered(writer: Writer, low: Code, high: Code, node: ast.expr, *, strict: bool) -> None:
    least, most = low.literal, high.literal
    if least is None or most is None or isinstance(least, str) or isinstance(most, str):
        return
    if least > most or (strict and least == most):
        writer.fail(node, "low is not below high", "the lower limit stands first")


_WINDOW = "{}(tag, 5m), {}(tag, 10 samples) or {}(tag, 5m, 1m)"

FUNCTIONS: dict[str, Function] = {
    "abs": Function(_plain, 1, 1, "abs(x)"),
    "sqrt": Function(_plain, 1, 1, "sqrt(x)"),
    "min": Function(_extreme, 1, 100, "min(a, b) or min(tag, 5m)"),
    "max": Function(_extreme, 1, 100, "max(a, b) or max(tag, 5m)"),
    "round": Function(_round, 1, 2, "round(x) or round(x, 1)"),
    "clamp": Function(_clamp, 3, 3, "clamp(x, low, high)"),
    "scale": Function(_scale, 5, 5, "scale(x, in_low, in_high, out_low, out_high)"),
    "hysteresis": Function(_hysteresis, 3, 3, "hysteresis(x, low, high)"),
    "changed": Function(tagfunctions.changed, 1, 1, "changed(tag)"),
    "prev": Function(tagfunctions.previous, 1, 1, "prev(tag)"),
    "age": Function(tagfunctions.age, 1, 1, "age(tag)"),
    "quality": Function(tagfunctions.quality, 1, 1, "quality(tag)"),
    "is_good": Function(tagfunctions.is_good, 1, 1, "is_good(tag)"),
    "rate": Function(tagfunctions.rate, 1, 2, "rate(tag) or rate(tag, 10s)"),
    **{
        name: Function(tagfunctions.window_figure, 2, 3, _WINDOW.replace("{}", name))
        for name in ("avg", "sum", "count", "stddev", "first", "last")
    },
}
"""By name. `min` and `max` are windows, too, when their second argument is a time or samples."""
