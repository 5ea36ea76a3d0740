"""What people write who come from other languages, and how it is written here."""

from __future__ import annotations

import re

from rules.expression.wording import name_of

OPERATORS = frozenset({"+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!="})
COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
_RUN = re.compile(r"&&=?|\|\|=?|!==|===|<>|=<|=>|:=|->|\*\*|<<|>>|//|[<>=!]=|[-+*/%&|^]=|.", re.DOTALL)

_SPELLING = {
    "&&": "and",
    "&": "and",
    "||": "or",
    "|": "or",
    "!": "not",
    "¬": "not",
    "~": "not",
    "∧": "and",
    "∨": "or",
    "=": "==",
    ":=": "==",
    "===": "==",
    "<>": "!=",
    "!==": "!=",
    "≠": "!=",
    "=<": "<=",
    "≤": "<=",
    "=>": ">=",
    "≥": ">=",
    "<<": "<",
    ">>": ">",
    "?": "x if condition else y",
    ":": "x if condition else y",
    "^": "x * x",
    "**": "x * x",
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "—": "-",
    "“": '"text"',
    "”": '"text"',
    "„": '"text"',
    "‘": "'text'",
    "’": "'text'",
    "`": "'text'",
    "√": "sqrt(x)",
    "∈": "in",
}
"""An operator of another language, or a typographic one, and what to write."""

_MEANINGLESS = {
    "}": "this brace was never opened",
    ".": "a point belongs to a tag, `device.tag`, or to a number, `0.5`",
    "\\": "a backslash has no place here",
    "#": "a comment cannot stand in an expression",
    ";": "one expression cannot hold two",
    "->": "an arrow has no place here",
    "°": "a number has no unit here",
}

WORDS = {
    "is": ("`is` is not known here", "write `==` or `!=`"),
    "xor": ("`xor` is not known here", "write `a != b`"),
    "mod": ("`mod` is not known here", "write `%`"),
    "div": ("`div` is not known here", "write `//`"),
    "eq": ("`eq` is not known here", "write `==`"),
    "ne": ("`ne` is not known here", "write `!=`"),
    "gt": ("`gt` is not known here", "write `>`"),
    "lt": ("`lt` is not known here", "write `<`"),
    "between": ("`between` is not known here", "write `low <= x <= high`"),
    "contains": ("`contains` is not known here", 'write `"text" in tag`'),
    "like": ("`like` is not known here", 'write `"text" in tag`'),
    "then": ("`then` is not known here", "write `x if condition else y`"),
    "elif": ("`elif` is not known here", "write `x if condition else y`"),
    "endif": ("`endif` is not known here", "write `x if condition else y`"),
    "none": ("there is no empty value here", "write `is_good(tag)`"),
    "null": ("there is no empty value here", "write `is_good(tag)`"),
    "nil": ("there is no empty value here", "write `is_good(tag)`"),
    "nan": ("`nan` is no value here", "write `is_good(tag)`"),
    "inf": ("`inf` is no value here", "leave the bound out"),
    "lambda": ("functions cannot be made here", "make a computed tag"),
    "def": ("functions cannot be made here", "make a computed tag"),
    "for": ("there are no loops here", "write avg, min, max, sum or count over a window: avg(tag, 5m)"),
    "while": ("there are no loops here", "write avg, min, max, sum or count over a window: avg(tag, 5m)"),
    **dict.fromkeys(
        (
            *("import", "from", "class", "return", "yield", "await", "async", "with", "del", "assert", "raise", "try"),
            *("except", "finally", "pass", "break", "continue", "global", "nonlocal", "exec", "eval", "print"),
        ),
        ("this is an expression, not a program", ""),
    ),
}
"""Words of other languages, in small letters: (what is wrong, hint)."""

FUNCTIONS = {
    **dict.fromkeys(("average", "mean"), "avg(tag, 5m)"),
    **dict.fromkeys(("std", "stdev", "sigma"), "stddev(tag, 5m)"),
    **dict.fromkeys(("minimum", "least"), "min(a, b) or min(tag, 5m)"),
    **dict.fromkeys(("maximum", "greatest"), "max(a, b) or max(tag, 5m)"),
    **dict.fromkeys(("previous", "lag", "old"), "prev(tag)"),
    **dict.fromkeys(("delta", "diff"), "tag - prev(tag)"),
    **dict.fromkeys(("derivative", "slope", "ddt"), "rate(tag, 10s)"),
    **dict.fromkeys(("pow", "sqr", "square"), "x * x"),
    **dict.fromkeys(("floor", "int", "trunc"), "x // 1"),
    **dict.fromkeys(("limit", "constrain"), "clamp(x, low, high)"),
    **dict.fromkeys(("map", "lerp"), "scale(x, in_low, in_high, out_low, out_high)"),
    **dict.fromkeys(("had_changed", "has_changed"), "changed(tag)"),
    **dict.fromkeys(("iif", "iff", "if_else", "ifelse"), "x if condition else y"),
}
"""Functions of other languages and what to write for them."""


def foreign_operator(text: str, at: int) -> tuple[str, str, str]:
    """The operator that stands at `at`: (as written, what is wrong if it is not one of OPERATORS, hint)."""
    found = _RUN.match(text, at)
    written = found[0] if found is not None else text[at]
    if written in OPERATORS:
        return written, "", ""
    if written in _SPELLING:
        return written, f"{_shown(written)} is not known here", f"write `{_SPELLING[written]}`"
    if written in _MEANINGLESS:
        return written, _MEANINGLESS[written], ""
    if len(written) > 1:
        return written, f"`{written}` is not known here: nothing can be assigned in an expression", ""
    spare = " " if written.isspace() else ""
    return written, f"{_shown(written)} has no place here", "write a plain space" if spare else ""


def _shown(written: str) -> str:
    return f"`{written}`" if written.isascii() and written.isprintable() else name_of(written)
