"""What an examination found: one result for each check, in words."""

from __future__ import annotations

import enum
from typing import Any

from msgspec import Struct


class NotApplicable(Exception):
    """A check that cannot be made here; the text says why."""


class Verdict(enum.StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    SKIP = "skip"


class Result(Struct, frozen=True):
    """One check. `why`: of a skipped one."""

    check: str
    title: str
    verdict: Verdict
    findings: tuple[str, ...] = ()
    why: str = ""


class Report(Struct, frozen=True):
    """All checks of one driver, in the order in which they ran."""

    driver: str
    results: tuple[Result, ...]

    @property
    def findings(self) -> list[str]:
        """Everything found: `check: text`."""
        return [f"{result.check}: {text}" for result in self.results for text in result.findings]

    @property
    def failed(self) -> list[str]:
        """Names of the checks that found something."""
        return [result.check for result in self.results if result.verdict is Verdict.FAIL]

    @property
    def skipped(self) -> list[str]:
        return [result.check for result in self.results if result.verdict is Verdict.SKIP]

    def view(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "driver": self.driver,
            "passed": not self.failed,
            "checks": [
                {
                    "check": result.check,
                    "title": result.title,
                    "verdict": result.verdict.value,
                    "findings": list(result.findings),
                    **({"why": result.why} if result.why else {}),
                }
                for result in self.results
            ],
        }
