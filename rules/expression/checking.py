"""What the settings ask of expressions when they load a configuration."""

from __future__ import annotations

from gateway.rulebook import Checked, FindTag
from rules.expression.program import compile_expression
from rules.expression.templates import compile_template


class RuleExpressions:
    """Checks expressions, templates and cron lines; implements gateway.rulebook.Expressions."""

    def check(self, text: str, device: str, find: FindTag) -> Checked:
        program = compile_expression(text, device, find, condition=False)
        return Checked(program.type, program.tags)

    def check_template(self, text: str, device: str, find: FindTag) -> tuple[str, ...]:
        return compile_template(text, device, find).tags

    def check_cron(self, text: str, zone: str) -> None:
        from rules.cron import Cron  # its time zones are read only where somebody has such a line

        Cron(text, zone)
