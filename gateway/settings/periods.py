"""When tags are read: intervals and groups."""

from __future__ import annotations

from typing import Any

from gateway.model import Schedule
from gateway.settings.ids import ID_RULE, is_id
from gateway.settings.keys import GroupKeys
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.sections import mapping_at, section
from gateway.units import parse_seconds

SHORTEST_S = 0.001
LONGEST_S = 7 * 86400.0
DAY_S = 86400.0


def check_interval(seconds: float, origin: Origin, problems: Problems) -> None:
    """Refuse a period that cannot be kept."""
    if not SHORTEST_S <= seconds <= LONGEST_S:
        problems.at(origin, "an interval is 1ms to 7d", "write 1s")


def read_groups(groups: dict[str, Any], layers: Layers, problems: Problems) -> dict[str, Schedule]:
    """The groups of a channel: `fast: 500ms` or `energy: {every: 15m, align: clock}`."""
    found: dict[str, Schedule] = {}
    for name, value in groups.items():
        origin = layers.origin("groups", name)
        if not is_id(name):
            problems.at_key(origin, f"`{name}` is not a name for a group: {ID_RULE}")
        schedule = _group(name, value, origin, problems)
        # A group with a fault still exists, so that its tags are not reported too.
        found[name] = schedule or Schedule(1.0)
    return found


def _group(name: str, value: Any, origin: Origin, problems: Problems) -> Schedule | None:
    if not isinstance(value, dict) and value is not None:
        try:
            every = parse_seconds(value)
        except ValueError as error:
            problems.at(origin, f"group `{name}`: {error}", "write 500ms, or {every: 15m, align: clock}")
            return None
        check_interval(every, origin, problems)
        return Schedule(float(every))
    below = mapping_at(value, origin, problems, what=f"group `{name}`")
    keys = None if below is None else section(GroupKeys, below, origin, problems, what=f"group `{name}`")
    if keys is None:
        return None
    check_interval(keys.every, origin.child("every"), problems)
    if keys.align and 0 < keys.every <= LONGEST_S and not divides_day(keys.every):
        message = "an aligned period must divide the day, else its last one is cut at midnight"
        problems.at(origin.child("every"), message, "write 1m, 5m, 10m, 15m, 30m, 1h or 24h")
    return Schedule(float(keys.every), keys.align == "clock")


def divides_day(seconds: float) -> bool:
    """Whether whole periods of `seconds` make a day."""
    milliseconds = round(seconds * 1000)
    return milliseconds > 0 and round(DAY_S * 1000) % milliseconds == 0
