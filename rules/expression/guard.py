"""The whitelist of the syntax tree and the bounds on its size. Whatever is not named here cannot be used."""

from __future__ import annotations

import ast

from gateway.rulebook import ExpressionError
from rules.expression.shape import Tree

MAX_NODES = 200
MAX_DEPTH = 20

_ALLOWED = frozenset(
    {
        ast.Name,
        ast.Call,
        ast.BinOp,
        ast.UnaryOp,
        ast.BoolOp,
        ast.Compare,
        ast.IfExp,
        ast.Tuple,
        ast.List,
    }
)
_ALLOWED_OPERATORS = frozenset(
    {
        ast.Add,
        ast.Sub,
        ast.Mult,
        ast.Div,
        ast.FloorDiv,
        ast.Mod,
        ast.USub,
        ast.UAdd,
        ast.Not,
        ast.And,
        ast.Or,
        ast.Eq,
        ast.NotEq,
        ast.Lt,
        ast.LtE,
        ast.Gt,
        ast.GtE,
        ast.In,
        ast.NotIn,
        ast.Load,
    }
)


def check_tree(tree: Tree) -> None:
    """Raises ExpressionError where a node is not whitelisted, or there are too many, or they nest too deeply.

    A chain (`a + b + c`, `x if a else y if b else z`) is as deep as its deepest member.
    """
    waiting: list[tuple[ast.expr, int]] = [(tree.root, 1)]
    nodes = 0
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if type(node) not in _ALLOWED:
            raise ExpressionError("this cannot stand in an expression", tree.token(node).at)
        if nodes > MAX_NODES:
            raise ExpressionError(f"more than {MAX_NODES} parts", 0, "move a part of it into a computed tag")
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} deep", tree.token(node).at)
        if isinstance(node, ast.Call) and (node.keywords or not isinstance(node.func, ast.Name)):
            raise ExpressionError("only functions of this language can be called", tree.token(node).at)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                waiting.append((child, depth if _is_chained(node, child) else depth + 1))
            elif type(child) not in _ALLOWED_OPERATORS:
                raise ExpressionError("this operator cannot stand in an expression", tree.token(node).at)


def _is_chained(node: ast.expr, child: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return child is node.left and isinstance(child, ast.BinOp)
    return isinstance(node, ast.IfExp) and child is node.orelse and isinstance(child, ast.IfExp)
