"""Functions that take a tag itself instead of a value: its quality, its past, and windows over it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from rules.expression.code import Code, Level
from rules.expression.tokens import Kind, Token
from rules.expression.types import Type, type_of_tag
from rules.windows import WindowSpec

if TYPE_CHECKING:
    from rules.expression.writer import Writer

_OF_ANY_TYPE = frozenset({"count", "first", "last"})


def changed(writer: Writer, name: str, node: ast.Call) -> Code:
    number = _needed(writer, name, node)
    writer.on_every_reading = True
    return Code(f"T{number} in c.changed", Type.BOOL, Level.COMPARE)


def previous(writer: Writer, name: str, node: ast.Call) -> Code:
    number = _needed(writer, name, node)
    writer.on_every_reading = True
    return Code(f"previous(c, T{number})", _type(writer, node))


def rate(writer: Writer, name: str, node: ast.Call) -> Code:
    number = _needed(writer, name, node)
    _check_numeric(writer, name, node)
    writer.on_every_reading = True
    if len(node.args) == 1:
        return Code(f"rate(c, T{number}, v[T{number}])", Type.NUMBER, floats=True)
    size = writer.tree.token(node.args[1])
    if size.kind is not Kind.TIME or not isinstance(node.args[1], ast.Name):
        writer.fail(node.args[1], "`rate` is taken over a time", "write rate(tag, 10s)")
    window = writer.window(WindowSpec(writer.tags[number], size_ms=size.value))
    return Code(f"w{window}_rate()", Type.NUMBER, floats=True)


def age(writer: Writer, name: str, node: ast.Call) -> Code:
    writer.has_age = True
    return Code(f"age(c, T{_tag(writer, name, node)}, at)", Type.NUMBER, floats=True)


def quality(writer: Writer, name: str, node: ast.Call) -> Code:
    return Code(f"quality_text(q[T{_tag(writer, name, node)}])", Type.TEXT, is_quality=True)


def is_good(writer: Writer, name: str, node: ast.Call) -> Code:
    return Code(f"q[T{_tag(writer, name, node)}] < 64", Type.BOOL, Level.COMPARE)


def window_figure(writer: Writer, name: str, node: ast.Call) -> Code:
    """`avg(tag, 5m)`, `avg(tag, 10 samples)`, `avg(tag, 5m, 1m)`."""
    number = _tag(writer, name, node) if name == "count" else _needed(writer, name, node)
    if name not in _OF_ANY_TYPE:
        _check_numeric(writer, name, node)
    size, hop = _sizes(writer, name, node)
    is_time = size.kind is Kind.TIME
    spec = WindowSpec(
        writer.tags[number],
        size_ms=size.value if is_time else 0,
        samples=0 if is_time else size.value,
        hop_ms=hop.value if hop is not None else 0,
    )
    figure = f"w{writer.window(spec)}_{name}()"
    if name in {"first", "last"}:
        return Code(f"given({figure})", _type(writer, node))
    return Code(figure, Type.NUMBER)


def _sizes(writer: Writer, name: str, node: ast.Call) -> tuple[Token, Token | None]:
    tokens = [writer.tree.token(argument) for argument in node.args]
    for argument, token in zip(node.args[1:], tokens[1:], strict=True):
        if not isinstance(argument, ast.Name) or token.kind not in {Kind.TIME, Kind.SAMPLES}:
            writer.fail(argument, f"`{name}` is taken over a time or samples", f"write {name}(tag, 5m)")
    if len(tokens) == 2:
        return tokens[1], None
    size, hop = tokens[1], tokens[2]
    if hop.kind is not Kind.TIME or size.kind is not Kind.TIME:
        writer.fail(node.args[2], "only a window over a time can hop", f"write {name}(tag, 5m, 1m)")
    if hop.value > size.value:
        writer.fail(node.args[2], "a hop longer than the window leaves readings out", "at most the window's own length")
    return size, hop


def _tag(writer: Writer, name: str, node: ast.Call) -> int:
    """The number of the tag that is the first argument."""
    argument = node.args[0]
    token = writer.tree.token(argument)
    if not isinstance(argument, ast.Name) or token.kind is not Kind.TAG:
        writer.fail(argument, f"`{name}` takes a tag, not a value", "a computed tag can hold the value")
    return writer.tag_number(token)


def _needed(writer: Writer, name: str, node: ast.Call) -> int:
    number = _tag(writer, name, node)
    writer.needs.add(number)
    return number


def _type(writer: Writer, node: ast.Call) -> Type:
    return type_of_tag(writer.named[writer.tree.token(node.args[0]).at].spec)


def _check_numeric(writer: Writer, name: str, node: ast.Call) -> None:
    type = _type(writer, node)
    if not type.is_numeric:
        writer.fail(node.args[0], f"`{name}` of {type.noun}", "count, first and last take any tag")
