"""Cycles of KubeEdge: numbers without a unit, nanoseconds in old samples and milliseconds in new ones."""

from __future__ import annotations

from gateway.importing.views import View

_NANOSECONDS_FROM = 10_000_000
"""As milliseconds this would be nearly three hours, as nanoseconds it is 10 ms: nobody polls that slowly."""
USUAL_MS = 1000


def cycle_ms(view: View | None, what: str) -> float | None:
    """Milliseconds of a cycle; None where it is missing, 0 or wrong (which is told)."""
    if view is None:
        return None
    number = view.as_number()
    if number is None:
        return None
    if number < 0:
        view.report.error(view.place, f"`{what}` is negative", f"{what}: 1000")
        return None
    if number == 0:
        return None
    nano = number >= _NANOSECONDS_FROM
    found = number / 1e6 if nano else float(number)
    unit = "nanoseconds" if nano else "milliseconds"
    view.report.guessed(view.place, f"`{what}` has no unit: {view.text} {unit}, so {written(found)}")
    return found


def written(ms: float) -> str:
    """A duration as it is written in a file."""
    if ms % 1000 == 0:
        return f"{int(ms) // 1000}s"
    return f"{ms:.12g}ms"
