"""Alarms as people and programs read them: the list, and how many stand in which state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from gateway.rulebook import PRIORITIES, AlarmSpec
from rules.alarms.alarm import Alarm
from rules.alarms.entry import shown_value
from rules.alarms.machine import ACTIVE, STATES, UNACKED
from rules.values import Instant

STALE_MS = 24 * 3_600_000


def rows(alarms: Iterable[Alarm], now: Instant) -> list[dict[str, Any]]:
    """A dict for each: what waits for an ack first, then by priority, then the newest. Times in UTC ms, 0 where there
    is none; `left` in ms. `condition` says whether it is active underneath. `since`: while it is active and told of
    since when, else its last transition.
    """
    return [_row(alarm, now) for alarm in sorted(alarms, key=_rank)]


def row_of(spec: AlarmSpec, now: Instant) -> dict[str, Any]:
    """The row of an alarm that has not come yet, as those of issues are until then."""
    return _row(Alarm(spec=spec), now)


def standing(alarms: Iterable[Alarm], now: Instant) -> dict[str, Any]:
    """`states`: how many are in each that is not empty. `standing`: how many are active and told of; `stale`: which of
    these have been for more than 24 h; `chattering`: which come and go too fast.
    """
    alarms = list(alarms)
    active = [alarm for alarm in alarms if alarm.state in ACTIVE]
    counts = Counter(alarm.state for alarm in alarms)
    return {
        "states": {state: counts[state] for state in STATES if counts[state]},
        "unacked": sum(counts[state] for state in UNACKED),
        "standing": len(active),
        "stale": sorted(alarm.key for alarm in active if now.at - alarm.active_at > STALE_MS),
        "chattering": sorted(alarm.key for alarm in alarms if alarm.chatter.is_on(now.at)),
    }


def _rank(alarm: Alarm) -> tuple[bool, int, int, str]:
    return alarm.state not in UNACKED, -PRIORITIES.index(alarm.spec.priority), -alarm.standing_since, alarm.key


def _row(alarm: Alarm, now: Instant) -> dict[str, Any]:
    spec = alarm.spec
    return {
        "key": alarm.key,
        "id": spec.id,
        "entity": spec.entity,
        "device": spec.device,
        "tag": spec.tag,
        "state": alarm.state,
        "priority": spec.priority,
        "text": alarm.shown_text,
        "action": spec.action,
        "limit": spec.limit,
        "group": spec.group,
        "condition": alarm.condition,
        "t_cond": alarm.t_cond,
        "t_active": alarm.t_active,
        "value": shown_value(alarm.value),
        "quality": alarm.quality,
        "who": alarm.who,
        "comment": alarm.comment,
        "until": now.wall + alarm.until_at - now.at if alarm.until else 0,
        "left": alarm.until_at - now.at if alarm.until else 0,
        "reasons": list(alarm.reasons),
        "latched": spec.latched,
        "blocks_updates": spec.blocks_updates,
        "first_out": alarm.first_out,
        "chattering": alarm.chatter.is_on(now.at),
        "since": alarm.standing_since,
        "n": alarm.n,
    }
