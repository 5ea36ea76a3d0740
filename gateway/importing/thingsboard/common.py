"""What both kinds of connectors say: when values are reported."""

from __future__ import annotations

from typing import Any

from gateway.importing.numbers import duration
from gateway.importing.views import View

ON_CHANGE = "ON_CHANGE"
_STRATEGIES = {ON_CHANGE, "ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD", "ON_RECEIVED"}


def reporting(view: View, inherited: dict[str, Any]) -> dict[str, Any]:
    """`on_change`, `heartbeat`, `report_every` as a device or tag says them, else as inherited."""
    strategy = view.get("reportStrategy")
    changes = view.get("sendDataOnlyOnChange")
    if strategy is None:
        only = changes.as_flag() if changes is not None else None
        return inherited if only is None else ({"on_change": True} if only else {})
    kind = strategy.get("type")
    word = (kind.as_text() or "").upper() if kind is not None else ON_CHANGE
    if word not in _STRATEGIES:
        strategy.report.error((kind or strategy).place, f"there is no report strategy `{word[:40]}`")
        return inherited
    length = strategy.get("reportPeriod")
    period = length.as_whole(1, 30 * 86_400_000) if length is not None else None
    if word == "ON_RECEIVED" or (period is None and word == "ON_REPORT_PERIOD"):
        return {}
    if word == "ON_REPORT_PERIOD":
        return {"report_every": duration(period or 0)}
    return {"on_change": True, **({"heartbeat": duration(period or 0)} if period and word != ON_CHANGE else {})}


def milliseconds(view: View | None, low: int = 1) -> str:
    """A time in ms as our duration; empty where it is not there or wrong, which is reported."""
    number = view.as_whole(low, 7 * 86_400_000) if view is not None else None
    return "" if number is None else duration(number)
