"""What the settings ask of expressions when they load a configuration."""

from __future__ import annotations

from collections.abc import Collection

from gateway.rulebook import Checked, FindTag


class RuleExpressions:
    """Checks expressions, templates and cron lines; implements gateway.rulebook.Expressions. What each needs is
    imported with the first one.
    """

    @property
    def issues(self) -> Collection[str]:
        from rules.alarms.catalogue import CATALOGUE

        return CATALOGUE.keys()

    def check(self, text: str, device: str, find: FindTag) -> Checked:
        from rules.expression.program import compile_expression

        program = compile_expression(text, device, find, condition=False)
        return Checked(program.type, program.tags)

    def check_template(self, text: str, device: str, find: FindTag) -> tuple[str, ...]:
        from rules.expression.templates import compile_template

        return compile_template(text, device, find).tags

    def check_cron(self, text: str, zone: str) -> None:
        from rules.cron import Cron

        Cron(text, zone)
