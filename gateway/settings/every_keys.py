"""When something runs by the clock: `every` of a rule, `reset` of a total."""

from __future__ import annotations

import zoneinfo
from typing import Any

from gateway.rulebook import Every
from gateway.settings.convert import show
from gateway.settings.ids import did_you_mean
from gateway.settings.periods import divides_day
from gateway.settings.positions import Origin, Problems
from gateway.settings.rule_keys import EveryKeys
from gateway.settings.sections import section
from gateway.units import parse_seconds

SHORTEST_S = 0.1
LONGEST_S = 7 * 86400.0
_FORMS = 'write 15m, {every: 15m, align: clock} or {cron: "30 2 * * *"}'
MIDNIGHT = "0 0 * * *"


def read_every(value: Any, origin: Origin, problems: Problems, timezone: str) -> Every | None:
    """A period, or the keys of `every`. None: reported. The cron line itself is checked by whoever knows cron."""
    if isinstance(value, dict):
        return _keys(value, origin, problems, timezone)
    try:
        period = float(parse_seconds(value))
    except ValueError as error:
        looks_cron = isinstance(value, str) and len(value.split()) == 5
        hint = f'write {{cron: "{value}"}}' if looks_cron else _FORMS
        problems.at(origin, f"`{origin.path[-1]}`: {error}", hint)
        return None
    return Every(period, zone=timezone) if _in_bounds(period, origin, problems) else None


def _keys(value: dict[str, Any], origin: Origin, problems: Problems, timezone: str) -> Every | None:
    keys = section(EveryKeys, value, origin, problems, what=f"`{origin.path[-1]}`")
    if keys is None:
        return None
    if keys.cron is not None:
        for name in ("every", "align"):
            if name in value:
                problems.at_key(origin.child(name), f"`cron` and `{name}` both say when", "keep one of them")
        if keys.zone is not None and not check_zone(keys.zone, origin.child("zone"), problems):
            return None
        return Every(cron=keys.cron, zone=keys.zone or timezone, missed=keys.missed)
    if keys.every is None:
        problems.at_key(origin, "`every` or `cron` must say when", _FORMS)
        return None
    period = float(keys.every)
    if not _in_bounds(period, origin.child("every"), problems):
        return None
    if keys.align is not None and not divides_day(period):
        message = "an aligned period must divide the day, else its last one is cut at midnight"
        problems.at(origin.child("every"), message, "write 1m, 5m, 10m, 15m, 30m, 1h or 24h")
    if keys.zone is not None:
        check_zone(keys.zone, origin.child("zone"), problems)
    return Every(period, align=keys.align == "clock", zone=keys.zone or timezone, missed=keys.missed)


def _in_bounds(period: float, origin: Origin, problems: Problems) -> bool:
    if SHORTEST_S <= period <= LONGEST_S:
        return True
    problems.at(origin, "a period is 100ms to 7d", "write 15m")
    return False


def read_reset(value: Any, origin: Origin, problems: Problems, timezone: str) -> Every | None:
    """When a total begins anew: `daily`, or a cron line. A time that was missed is made up for at the next start."""
    if value == "daily":
        return Every(cron=MIDNIGHT, zone=timezone, missed="once")
    if isinstance(value, dict) and "cron" in value:
        return _keys({"missed": "once"} | value, origin, problems, timezone)
    problems.at(origin, f"`reset` is `daily` or a cron line, not {show(value)}", 'write daily, or {cron: "0 6 * * 1"}')
    return None


def check_zone(name: str, origin: Origin, problems: Problems) -> bool:
    """Whether this system knows the time zone; reports it if not."""
    if name == "UTC":  # needs no zone files
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, zoneinfo.available_timezones())
        hint = hint if hint.startswith("did you mean") else "write it as Europe/Berlin or UTC"
        problems.at(origin, f"there is no time zone `{name}`", hint)
        return False
    return True
