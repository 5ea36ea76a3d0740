"""How many alarms and rules need somebody, in a few words for `status`."""

from __future__ import annotations

from typing import Any, Protocol

from rules.alarms.machine import ACTIVE, AWAY, UNACKED


class HasStates(Protocol):
    """The alarms and rules at work (gateway.runtime.ruling.Ruling)."""

    def alarms(self, *, every: bool = False) -> list[dict[str, Any]]: ...

    def rules(self) -> list[dict[str, Any]]: ...


def alarm_summary(ruling: HasStates) -> dict[str, Any]:
    """`active`: alarms that are and are told of; `unacked`: that wait for somebody; `away`: shelved, suppressed or out
    of service. `worst`: the most urgent of those that wait, else of the active ones; None when there is none. Before
    the rules have started there are none.
    """
    try:
        rows = ruling.alarms()
    except RuntimeError:
        rows = []
    active = [row for row in rows if row["state"] in ACTIVE]
    unacked = [row for row in rows if row["state"] in UNACKED]
    away = [row for row in rows if row["state"] in AWAY]
    worst = next(iter(unacked or active), None)
    named = ("key", "state", "priority", "text", "since")
    return {
        "active": len(active),
        "unacked": len(unacked),
        "away": len(away),
        "worst": None if worst is None else {name: worst[name] for name in named},
    }


def rule_summary(ruling: HasStates) -> dict[str, Any]:
    """`total`, `active`, and the ids of those that were stopped."""
    rows = ruling.rules()
    return {
        "total": len(rows),
        "active": sum(row["state"] in ("active", "ending") for row in rows),
        "stopped": [row["id"] for row in rows if row["state"] == "stopped"],
    }
