"""Durations of EdgeX files, and how they are written here."""

from __future__ import annotations

from gateway.importing.views import View

LONGEST_S = 7 * 86_400.0


def seconds_of(view: View, plain: float | None = None) -> float | None:
    """A duration in seconds; what is none, or negative, is reported."""
    if view.text.strip().startswith("-"):
        view.report.error(view.place, f"`{view.text[:40]}` is below 0", "write 10s")
        return None
    seconds = view.as_seconds(plain)
    if seconds is not None and not seconds <= LONGEST_S:
        view.report.error(view.place, f"`{view.text[:40]}` is longer than seven days", "write 24h or less")
        return None
    return seconds


def duration_of(seconds: float) -> str:
    """`500ms`, `20s`; at least a millisecond."""
    ms = max(1, round(seconds * 1000))
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"
