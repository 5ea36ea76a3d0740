"""Actions that fail, as issues: one per rule, with what failed last of all that fails; over when all of it works."""

from __future__ import annotations

from collections.abc import Collection

from gateway.health import Health

ISSUE = "action_failed"
_REPAIR = "mend what the text names; the issue ends when the same action works again"
_MOST = 32
"""Targets that are remembered per rule."""


class Failing:
    """What fails now, by rule and target."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._rules: dict[str, dict[str, str]] = {}

    def failed(self, rule: str, what: str, text: str) -> None:
        """An action failed. `what`: kind and target, for people."""
        failing = self._rules.setdefault(rule, {})
        failing.pop(what, None)
        if len(failing) >= _MOST:
            del failing[next(iter(failing))]
        failing[what] = text
        self._tell(rule)

    def worked(self, rule: str, what: str) -> None:
        failing = self._rules.get(rule)
        if failing is not None and failing.pop(what, None) is not None:
            self._tell(rule)

    def keep(self, rules: Collection[str]) -> None:
        """Forget rules that are not there any more."""
        for rule in [rule for rule in self._rules if rule not in rules]:
            self._rules[rule].clear()
            self._tell(rule)

    def _tell(self, rule: str) -> None:
        failing = self._rules[rule]
        if not failing:
            del self._rules[rule]
            self._health.clear(ISSUE, rule)
            return
        what, text = next(reversed(failing.items()))
        more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
        self._health.set(ISSUE, rule, f"{what}: {text}{more}", _REPAIR)
