"""Checks the types of a tree and writes the generated function, in one walk."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NoReturn

from gateway.rulebook import ExpressionError
from rules.expression.code import Code, Level, align, literal_number
from rules.expression.comparing import compare
from rules.expression.functions import call
from rules.expression.names import Named
from rules.expression.shape import Tree
from rules.expression.tokens import Kind, Token
from rules.expression.types import Type, has_floats, type_of_constant, type_of_tag
from rules.expression.wording import short
from rules.windows import WindowSpec

_ARITHMETIC = {
    ast.Add: ("+", Level.SUM),
    ast.Sub: ("-", Level.SUM),
    ast.Mult: ("*", Level.PRODUCT),
    ast.Div: ("/", Level.PRODUCT),
    ast.FloorDiv: ("//", Level.PRODUCT),
    ast.Mod: ("%", Level.PRODUCT),
}


class Writer:
    """Writes one expression. What it found out besides the code is in its attributes; tags and windows by number."""

    def __init__(self, tree: Tree, named: dict[int, Named]) -> None:
        """`named`: the tag of each TAG token, by the token's offset."""
        self.tree = tree
        self.named = named
        self.tags: list[str] = list(dict.fromkeys(found.name for found in named.values()))
        self.needs: set[int] = set()
        self.exact_tags: set[int] = set()
        """Tags whose value must not be None: it would count as false or as different, where other uses fault."""
        self.windows: list[WindowSpec] = []
        self.constants: list[Any] = []
        self.latches: list[tuple[str, str, str]] = []
        self.has_age = False
        self.on_every_reading = False

    def visit(self, node: ast.expr) -> Code:
        return _VISITS[type(node)](self, node)

    def fail(self, node: ast.expr, text: str, hint: str = "") -> NoReturn:
        raise ExpressionError(text, self.tree.token(node).at, hint)

    def numeric(self, node: ast.expr, purpose: str) -> Code:
        """A part that is calculated with."""
        code = self.visit(node)
        if not code.type.is_numeric:
            self.fail(node, f"{code.type.noun} cannot be {purpose}")
        return code

    def truth(self, node: ast.expr, purpose: str) -> Code:
        """A part that is a condition."""
        code = self.visit(node)
        if code.type is not Type.BOOL:
            written = self.written(node)
            hint = f"write `{written} != 0`" if code.type is Type.NUMBER else f'write `{written} == "..."`'
            self.fail(node, f"{purpose} is true or false, `{written}` is {code.type.noun}", hint)
        return self.exact(code)

    def exact(self, code: Code) -> Code:
        if code.tag >= 0:
            self.exact_tags.add(code.tag)
        return code

    def written(self, node: ast.expr) -> str:
        """A short part as it was written, a longer one as `...`."""
        first = self.tree.token(node)
        return short(first.text) if isinstance(node, ast.Name) else "..."

    def tag_number(self, token: Token) -> int:
        return self.tags.index(self.named[token.at].name)

    def constant(self, value: Any) -> str:
        """The name under which the function finds `value`. Texts never become a part of its source."""
        self.constants.append(value)
        return f"K{len(self.constants) - 1}"

    def window(self, spec: WindowSpec) -> int:
        if spec not in self.windows:
            self.windows.append(spec)
        self.on_every_reading = True
        return self.windows.index(spec)

    def latch(self, x: Code, low: Code, high: Code) -> str:
        """The name of a latch's state. It sees each value, also where `and` or `if` would not look at it."""
        self.latches.append((x.text, low.text, high.text))
        return f"h{len(self.latches) - 1}"

    def _name(self, node: ast.Name) -> Code:
        token = self.tree.token(node)
        if token.kind is Kind.TAG:
            return self._tag(token)
        if token.kind is Kind.CONSTANT:
            return self._constant(token)
        what = "a time" if token.kind is Kind.TIME else "a number of samples"
        raise ExpressionError(f"{what} stands only where a function takes it", token.at, "for example avg(tag, 5m)")

    def _tag(self, token: Token) -> Code:
        spec, number = self.named[token.at].spec, self.tag_number(token)
        self.needs.add(number)
        return Code(f"v[T{number}]", type_of_tag(spec), floats=has_floats(spec), tag=number)

    def _constant(self, token: Token) -> Code:
        value = token.value
        if isinstance(value, str):
            return Code(self.constant(value), Type.TEXT, literal=value)
        if isinstance(value, bool):
            return Code(repr(value), type_of_constant(value), literal=value)
        return literal_number(value)

    def _arithmetic(self, node: ast.BinOp) -> Code:
        sign, level = _ARITHMETIC[type(node.op)]
        left, right = self.numeric(node.left, "calculated with"), self.numeric(node.right, "calculated with")
        if sign in {"/", "//", "%"} and right.literal == 0:
            self.fail(node.right, "division by zero")
        left, right = align(left, right)
        text = f"{left.within(level)} {sign} {right.within(Level(level + 1))}"
        return Code(text, Type.NUMBER, level, floats=sign == "/" or left.floats or right.floats)

    def _unary(self, node: ast.UnaryOp) -> Code:
        if isinstance(node.op, ast.Not):
            inner = self.truth(node.operand, "what `not` turns round")
            return Code(f"not {inner.within(Level.NOT)}", Type.BOOL, Level.NOT)
        inner = self.numeric(node.operand, "given a sign")
        minus = isinstance(node.op, ast.USub)
        if inner.literal is not None and not isinstance(inner.literal, str):
            return literal_number(-inner.literal if minus else +inner.literal, Level.SIGN)
        return Code(f"{'-' if minus else '+'}{inner.within(Level.SIGN)}", Type.NUMBER, Level.SIGN, floats=inner.floats)

    def _logic(self, node: ast.BoolOp) -> Code:
        word, level = ("and", Level.AND) if isinstance(node.op, ast.And) else ("or", Level.OR)
        parts = [self.truth(value, f"each side of `{word}`").within(Level(level + 1)) for value in node.values]
        return Code(f" {word} ".join(parts), Type.BOOL, level)

    def _choice(self, node: ast.IfExp) -> Code:
        then = self.exact(self.visit(node.body))
        test = self.truth(node.test, "what follows `if`")
        other = self.exact(self.visit(node.orelse))
        if then.type is other.type:
            type = then.type
        elif then.type.is_numeric and other.type.is_numeric:
            type = Type.NUMBER
        else:
            self.fail(
                node.orelse,
                f"{then.type.noun} before `if` and {other.type.noun} after `else`",
                "both must be of a kind",
            )
        text = f"{then.within(Level.OR)} if {test.within(Level.OR)} else {other.within(Level.CONDITIONAL)}"
        return Code(
            text,
            type,
            Level.CONDITIONAL,
            floats=then.floats and other.floats,
            is_quality=then.is_quality and other.is_quality,
        )

    def _list(self, node: ast.expr) -> Code:
        self.fail(node, "a list stands only after `in`", "for example `mode in (1, 2)`")


_VISITS: dict[type[ast.expr], Callable[[Writer, Any], Code]] = {
    ast.Name: Writer._name,
    ast.BinOp: Writer._arithmetic,
    ast.UnaryOp: Writer._unary,
    ast.BoolOp: Writer._logic,
    ast.IfExp: Writer._choice,
    ast.Tuple: Writer._list,
    ast.List: Writer._list,
    ast.Compare: compare,
    ast.Call: call,
}
