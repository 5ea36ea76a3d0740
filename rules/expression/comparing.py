"""Comparisons, chains of them, and `in`."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from gateway.model import Quality
from rules.expression.code import Code, Level, Literal, align
from rules.expression.types import Type, can_compare, type_of_constant
from rules.expression.wording import nearest, short

if TYPE_CHECKING:
    from rules.expression.writer import Writer

_SIGNS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")
_QUALITIES = [quality.text for quality in Quality]


def compare(writer: Writer, node: ast.Compare) -> Code:
    """`a < b <= c`, `mode in (1, 2)`, `"fault" in status`."""
    nodes = [node.left, *node.comparators]
    if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
        return _member(writer, node)
    for operator, right_node in zip(node.ops, nodes[1:], strict=True):
        if isinstance(operator, ast.In | ast.NotIn):
            writer.fail(right_node, "`in` cannot stand in a chain of comparisons", "join them with `and`")
    codes = [writer.visit(one) for one in nodes]
    pairs = pairwise(zip(codes, nodes, strict=True))
    for (left, right), operator in zip(pairs, node.ops, strict=True):
        _check_pair(writer, left, right, _SIGNS[type(operator)])
    for place in range(len(codes) - 1):
        codes[place], codes[place + 1] = align(codes[place], codes[place + 1])
    parts = [codes[0].within(Level.SUM)]
    for code, operator in zip(codes[1:], node.ops, strict=True):
        parts += [_SIGNS[type(operator)], code.within(Level.SUM)]
    return Code(" ".join(parts), Type.BOOL, Level.COMPARE)


def _check_pair(writer: Writer, one: tuple[Code, ast.expr], other: tuple[Code, ast.expr], sign: str) -> None:
    (left, left_node), (right, node) = one, other
    if not can_compare(left.type, right.type):
        writer.fail(
            node, f"{left.type.noun} is compared with {right.type.noun}", _label_hint(writer, left, right, sign)
        )
    if sign in {"==", "!="}:
        writer.exact(left)
        writer.exact(right)
        _check_quality(writer, left, right.literal, node)
        _check_quality(writer, right, left.literal, left_node)
    elif not left.type.is_numeric:
        writer.fail(node, f"{left.type.noun} is not less or more than another", "compare with `==` or `!=`")


def _check_quality(writer: Writer, code: Code, word: Literal | None, node: ast.expr) -> None:
    """A misspelt quality would never be equal to any."""
    if code.is_quality and isinstance(word, str) and word not in _QUALITIES:
        near = nearest(word, _QUALITIES)
        hint = f'did you mean "{near}"?' if near else "known: " + ", ".join(_QUALITIES)
        writer.fail(node, f'there is no quality "{short(word)}"', hint)


def _label_hint(writer: Writer, left: Code, right: Code, sign: str) -> str:
    """The number behind a label: tags are compared as numbers, whatever people call them."""
    for tag, word in ((left.tag, right.literal), (right.tag, left.literal)):
        if tag < 0 or not isinstance(word, str):
            continue
        labels = next(found.spec.labels for found in writer.named.values() if found.name == writer.tags[tag])
        for number, label in labels:
            if label == word:
                return f"`{short(word)}` is the label of {number}: write `{sign} {number}`"
    return _unquoted(left.type, right.literal) or _unquoted(right.type, left.literal)


def _unquoted(other: Type, word: Literal | None) -> str:
    """A number or a bool that was put in quotes."""
    if not isinstance(word, str):
        return ""
    if other is Type.BOOL:
        return "true and false have no quotes"
    return f"a number has no quotes: write {short(word)}" if _NUMBER.match(word) else ""


def _member(writer: Writer, node: ast.Compare) -> Code:
    sign, right_node = _SIGNS[type(node.ops[0])], node.comparators[0]
    left = writer.exact(writer.visit(node.left))
    if isinstance(right_node, ast.Tuple | ast.List):
        right = writer.constant(_constants(writer, left, right_node))
        return Code(f"{left.within(Level.SUM)} {sign} {right}", Type.BOOL, Level.COMPARE)
    text = writer.exact(writer.visit(right_node))
    if text.literal is not None:
        equal = "==" if sign == "in" else "!="
        written = writer.written(right_node)
        writer.fail(right_node, f"`{sign}` needs a list of constants or a text tag", f"write `{equal} {written}`")
    if left.type is not Type.TEXT or text.type is not Type.TEXT:
        writer.fail(
            right_node if left.type is Type.TEXT or text.type is not Type.TEXT else node.left,
            f"{left.type.noun} cannot be in {text.type.noun}",
            'write `mode in (1, 2)` or `"fault" in status`',
        )
    return Code(f"{left.within(Level.SUM)} {sign} {text.within(Level.SUM)}", Type.BOOL, Level.COMPARE)


def _constants(writer: Writer, left: Code, node: ast.Tuple | ast.List) -> tuple[Literal, ...]:
    found: list[Literal] = []
    for element in node.elts:
        value = writer.visit(element).literal
        if value is None:
            writer.fail(element, "a list holds constants only", "compare with `==` and join with `or`")
        if not can_compare(left.type, type_of_constant(value)):
            writer.fail(element, f"{left.type.noun} is compared with {type_of_constant(value).noun}")
        _check_quality(writer, left, value, element)
        found.append(value)
    return tuple(found)
