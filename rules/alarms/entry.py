"""What the journal's stream `alarm` gets: an entry for each transition, and one for what a chattering alarm did
since the last commit (protocol.md 1.3).
"""

from __future__ import annotations

import base64
import math
from typing import Any

from gateway.model import Value
from gateway.rulebook import AlarmSpec
from rules.alarms.machine import UNACK_ACTIVE
from rules.values import Transition

LARGEST = 2**53 - 1


def entry_of(transition: Transition) -> dict[str, Any]:
    """The entry of one transition. `ts`, `kind`, `id`, `state`, `priority`, `event` and `text` are always there, the
    rest where it says something. Where the alarm is of no device, or has another key than its device, `entity` names
    whose it is.
    """
    spec = transition.spec
    return {
        "ts": transition.when.wall,
        "kind": "alarm",
        **_whose(spec),
        "state": transition.state,
        "priority": spec.priority,
        "event": transition.event,
        "text": transition.text,
        **_present(
            t_cond=transition.t_cond,
            t_active=transition.t_active,
            quality=transition.quality,
            who=transition.who,
            comment=transition.comment,
            until=transition.until,
            first_out=transition.first_out,
            action=spec.action if transition.state == UNACK_ACTIVE else "",
            group=spec.group,
        ),
        **({} if transition.value is None else {"value": shown_value(transition.value)}),
    }


def shown_value(value: Value) -> Value:
    """A value as every JSON reader takes it (protocol.md 1.3)."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= LARGEST else str(value)
    return value


class ChatterGroup:
    """Folds what chattering alarms do between two commits into one entry each. Whoever writes the journal gives it
    every transition, in order, and flushes it with each commit.
    """

    def __init__(self) -> None:
        self._groups: dict[str, list[Transition]] = {}
        self._counts: dict[str, int] = {}

    def take(self, transition: Transition) -> list[dict[str, Any]]:
        """The entries to write at once, in order; none while it is folded. What a person did is never folded: it would
        lose who and why. It comes after what was folded of its alarm before.
        """
        key = transition.spec.key
        if not transition.chattering:
            self._counts.pop(key, None)
        elif not transition.who:
            self._groups.setdefault(key, []).append(transition)
            return []
        before = self._groups.pop(key, None)
        return [*([self._entry(before)] if before else []), entry_of(transition)]

    def flush(self) -> list[dict[str, Any]]:
        """The entries of everything that was folded since the last one, oldest alarm first."""
        groups, self._groups = self._groups, {}
        return [self._entry(group) for group in groups.values()]

    def _entry(self, group: list[Transition]) -> dict[str, Any]:
        """`n`: the numbers it takes, one for each transition. `count`: folded since the alarm began to chatter."""
        last = group[-1]
        key = last.spec.key
        self._counts[key] = count = self._counts.get(key, 0) + len(group)
        return {
            "ts": last.when.wall,
            "kind": "chattering",
            **_whose(last.spec),
            "state": last.state,
            "priority": last.spec.priority,
            "text": last.text,
            "n": len(group),
            "first": group[0].when.wall,
            "last": last.when.wall,
            "count": count,
            "transitions": [[one.when.wall, one.state, shown_value(one.value)] for one in group],
        }


def _whose(spec: AlarmSpec) -> dict[str, str]:
    entity = "" if spec.entity == spec.device else spec.entity
    return {"id": spec.id, **_present(device=spec.device, entity=entity, tag=spec.tag)}


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
