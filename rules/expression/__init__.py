"""The language of conditions, computed values and texts: checked at load, run as generated functions.

Its parts are imported when the first expression comes: a gateway without rules has no use for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rules.expression.checking import RuleExpressions as RuleExpressions

if TYPE_CHECKING:
    from rules.expression.columns import Columns as Columns
    from rules.expression.program import Bound as Bound
    from rules.expression.program import Program as Program
    from rules.expression.program import Run as Run
    from rules.expression.program import compile_expression as compile_expression
    from rules.expression.templates import BoundTemplate as BoundTemplate
    from rules.expression.templates import Template as Template
    from rules.expression.templates import compile_template as compile_template

_PARTS = {
    "Columns": "columns",
    "Bound": "program",
    "Program": "program",
    "Run": "program",
    "compile_expression": "program",
    "BoundTemplate": "templates",
    "Template": "templates",
    "compile_template": "templates",
}


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PARTS[name]}"), name)
