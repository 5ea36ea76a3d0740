"""What must be well after a change of the configuration: judged by what was well before it.

Names of gates: `channel:ID`, `uplink:NAME` and `server:NAME` as the gateway calls what is up, ANY_UPLINK and RULES.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.health import Health
from gateway.settings.generations import Trial
from gateway.settings.plan import Plan
from gateway.settings.types import ApplySettings, GatewaySettings

ANY_UPLINK = "uplink:*"
"""Some uplink is up."""
RULES = "rules"
"""No rule failed that had not failed before."""
_RULE_ISSUES = ("rule_failed", "rules_failed")


class Judged(Protocol):
    """The running gateway as the gates see it."""

    @property
    def settings(self) -> GatewaySettings: ...

    def up(self) -> frozenset[str]:
        """Names of what is up now: `uplink:NAME`, `channel:ID`, `server:NAME`."""
        ...

    def unheard(self) -> frozenset[str]:
        """What of it has not answered yet: only its link is known to be there."""
        ...


class ConfigGates:
    """Over one running gateway."""

    def __init__(self, gateway: Judged, health: Health) -> None:
        self._gateway = gateway
        self._health = health

    def local(self, plan: Plan) -> Trial:
        """What a change that somebody at the gateway made waits for."""
        gates = self._gateway.up() & frozenset(plan.touched())
        return Trial(tuple(sorted(gates)), window_s=_window(self._gateway.settings.apply, plan))

    def from_afar(self, plan: Plan, trial: Trial) -> Trial:
        """The same for one that a job brought: nobody looks on, so rules count, and the way that orders come by."""
        limits, up = self._gateway.settings.apply, self._gateway.up()
        gates = set(up.intersection(plan.touched()))
        if _touches_uplinks(plan) and _some_uplink(up):
            gates.add(ANY_UPLINK)
        if not plan.book.is_empty:
            gates.add(RULES)
        return Trial(
            gates=tuple(sorted(gates)),
            excused=(*self._failed_rules(), *sorted(self._gateway.unheard())),
            window_s=_window(limits, plan),
            hold_s=limits.hold_s,
            job=trial.job,
            rev=trial.rev,
            digest=trial.digest,
        )

    def missing(self, trial: Trial) -> list[str]:
        """The gates that do not hold now."""
        up = self._gateway.up()
        missing = [gate for gate in trial.gates if gate not in up and gate not in (ANY_UPLINK, RULES)]
        named = any(gate.startswith("uplink:") for gate in missing)
        if ANY_UPLINK in trial.gates and not _some_uplink(up) and not named:
            missing.append(ANY_UPLINK)
        if RULES in trial.gates and not set(self._failed_rules()).issubset(trial.excused):
            missing.append(RULES)
        return missing

    def undecided(self, trial: Trial) -> bool:
        """Whether a gate holds only as long as nobody knows better: a link is there, and what answered before has not
        yet. Devices that speak when they like may leave it so.
        """
        waiting = self._gateway.unheard().intersection(trial.gates).difference(trial.excused)
        return bool(trial.job) and bool(waiting)

    def reason(self, missing: Sequence[str]) -> str:
        """Why a change is taken back, for people; `missing` is empty when a person had to confirm it."""
        if not missing:
            return "nobody confirmed it in time"
        if RULES in missing:
            return "; ".join(one.text for one in self._health.open() if one.id in _RULE_ISSUES)[:500]
        down = ["any uplink" if gate == ANY_UPLINK else gate for gate in missing]
        return f"not up again in time: {', '.join(down)}"

    def _failed_rules(self) -> list[str]:
        return sorted(f"{one.id}:{one.entity}" for one in self._health.open() if one.id in _RULE_ISSUES)


def _touches_uplinks(plan: Plan) -> bool:
    return bool(plan.uplinks_added or plan.uplinks_changed or plan.uplinks_removed)


def _some_uplink(up: frozenset[str]) -> bool:
    return any(name.startswith("uplink:") for name in up)


def _window(limits: ApplySettings, plan: Plan) -> float:
    """The time of the slowest thing that a change touches, in seconds."""
    if _touches_uplinks(plan):
        return limits.uplinks_s
    return limits.channels_s if plan.touched() else limits.rules_s
