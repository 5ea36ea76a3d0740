"""The language of conditions, computed values and texts: checked at load, run as generated functions."""

from rules.expression.checking import RuleExpressions as RuleExpressions
from rules.expression.columns import Columns as Columns
from rules.expression.program import Bound as Bound
from rules.expression.program import Program as Program
from rules.expression.program import Run as Run
from rules.expression.program import compile_expression as compile_expression
from rules.expression.templates import BoundTemplate as BoundTemplate
from rules.expression.templates import Template as Template
from rules.expression.templates import compile_template as compile_template
