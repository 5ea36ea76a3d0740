"""Does what rules ask for: in order per device, host and uplink, within bounds, and never in the way of the engine.

`do` only queues; an action that nothing is before begins with the loop's next step. Every action ends exactly once: in
an outcome that is told, in an audit entry, and when it failed in an issue of its rule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

from gateway.acting.doing import WITHIN, Doer, named, targets, who
from gateway.acting.failing import Failing
from gateway.acting.lanes import SHARE, WAITING, Job, Lanes
from gateway.acting.ports import (
    DRY_RUN,
    EXPIRED,
    FAILED,
    OK,
    REJECTED,
    SUPERSEDED,
    Action,
    Doors,
    Outcome,
    Writes,
)
from gateway.audit import Audit
from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.health import Health
from gateway.webhook import host_of

REFUSALS_A_MINUTE = 10
"""Refusals of one rule for a full queue that are audited; all are counted."""

Told = Callable[[Action, str, int, str], None]
"""Called with an action, its state, code and text when it has ended."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_log = logging.getLogger("fieldpost.acting")
_rules = logging.getLogger("fieldpost.rules")


class Actor:
    """The acting side of the rules. Run `run` as a unit; what is asked for before waits for it."""

    def __init__(
        self,
        writes: Writes,
        doors: Doors,
        *,
        clock: Clock,
        health: Health,
        audit: Audit,
        told: Told = lambda _action, _state, _code, _text: None,
    ) -> None:
        self._doors = doors
        self._clock = clock
        self._audit = audit
        self._told = told
        self._doer = Doer(writes, doors, clock)
        self._failing = Failing(health)
        self._lanes = Lanes()
        self._actions: dict[Job, Action] = {}
        self._refused: dict[str, tuple[float, int]] = {}
        self._counts = {"done": 0, "failed": 0, "refused": 0}

    def do(self, action: Action) -> None:
        """Do it, or queue it. Returns at once and never raises."""
        kind = action.step.kind
        if action.dry_run:
            self._tell(action, Outcome(DRY_RUN))
        elif kind == "log":
            self._log(action)
        elif kind == "notify":
            self._notify(action)
        elif not self._doer.knows(kind):
            self._end(action, Outcome(REJECTED, 400, f"{kind} is no action on the world"))
        else:
            self._queue(action)

    async def run(self) -> None:
        """Serve until cancelled; what has not begun by then is told as failed."""
        try:
            await self._lanes.run()
        finally:
            for job in self._lanes.drain():
                action = self._actions.pop(job)
                self._end(action, Outcome(FAILED, 503, "the gateway stopped before it could be done"))

    def keep(self, rules: Collection[str]) -> None:
        """Only these rules are there now: issues of others are over."""
        self._failing.keep(rules)
        for gone in self._refused.keys() - set(rules):
            del self._refused[gone]

    def stats(self) -> dict[str, int]:
        """How many ended well, failed, were refused for a full queue, and are not done yet."""
        return {**self._counts, "waiting": self._lanes.waiting}

    def _queue(self, action: Action) -> None:
        deadline = self._clock.mono() + WITHIN[action.step.kind]
        job = Job(targets(action), lambda: self._perform(job, deadline), action.rule)
        if not job.targets:
            self._end(action, Outcome(REJECTED, 400, "it names nothing to act on"))
            return
        self._actions[job] = action
        if not self._lanes.put(job):
            del self._actions[job]
            self._counts["refused"] += 1
            text = f"too many actions of this rule or of all ({SHARE}, {WAITING}) wait for {' or '.join(job.targets)}"
            self._end(action, Outcome(REJECTED, 429, text), asked=self._is_flood(action.rule))

    def _is_flood(self, rule: str) -> bool:
        """Whether a rule was refused so often that its further refusals are not worth an audit entry each."""
        now = self._clock.mono()
        began, count = self._refused.get(rule, (now, 0))
        if now - began >= 60.0:
            began, count = now, 0
        self._refused[rule] = (began, count + 1)
        return count >= REFUSALS_A_MINUTE

    async def _perform(self, job: Job, deadline: float) -> None:
        action = self._actions.pop(job)
        outcome = Outcome(FAILED, 500, "cancelled, the outcome is not known")
        asked = False
        try:
            left_s = deadline - self._clock.mono()
            if left_s <= 0.0:
                outcome = Outcome(EXPIRED, 408, "too many actions were before it")
            else:
                asked = True
                outcome = await self._doer.do(action, left_s)
        except TimeoutError:
            outcome = Outcome(FAILED, 504, "it took too long and was cut off")
        except GatewayError as error:
            asked = False
            code = int(getattr(error, "code", 500))
            outcome = Outcome(_state(code), code, str(error))
        except Exception as error:
            _log.exception("%s of rule %s failed", action.step.kind, action.rule)
            outcome = Outcome(FAILED, 500, f"{type(error).__name__}: {error}")
        finally:
            self._end(action, outcome, asked=asked)

    def _log(self, action: Action) -> None:
        _rules.log(_LEVELS.get(action.step.level, logging.INFO), "%s: %s", action.rule, " ".join(action.text.split()))
        self._end(action, Outcome())

    def _notify(self, action: Action) -> None:
        try:
            missed = self._doors.notify(action.step.to, action.text, who(action))
        except Exception as error:
            _log.exception("a message of rule %s could not be handed over", action.rule)
            outcome = Outcome(FAILED, 500, f"{type(error).__name__}: {error}")
        else:
            outcome = Outcome(FAILED, 429, "; ".join(missed)) if missed else Outcome()
        self._end(action, outcome)

    def _end(self, action: Action, outcome: Outcome, *, asked: bool = False) -> None:
        """An action has ended. `asked`: whoever it was handed to knows of it, and writes its own audit entry."""
        good = outcome.state in (OK, SUPERSEDED)
        self._counts["done" if good else "failed"] += 1
        if good:
            self._failing.worked(action.rule, named(action))
        else:
            self._failing.failed(action.rule, named(action), outcome.text or f"code {outcome.code}")
        kind = action.step.kind
        if not (asked and (kind == "write" or outcome.code == 429 or (kind == "desired" and good))):
            self._record(action, outcome)
        self._tell(action, outcome)

    def _record(self, action: Action, outcome: Outcome) -> None:
        details: dict[str, Any] = {**_details(action), "state": outcome.state, "code": outcome.code}
        if outcome.text:
            details["text"] = outcome.text
        self._audit.record(who(action), "rule", action.step.kind, **details)

    def _tell(self, action: Action, outcome: Outcome) -> None:
        try:
            self._told(action, outcome.state, outcome.code, outcome.text)
        except Exception:
            _log.exception("the end of an action of rule %s could not be told", action.rule)


def _state(code: int) -> str:
    """What a refusal's code says of the action."""
    if code == 408:
        return EXPIRED
    return REJECTED if 400 <= code < 500 else FAILED


def _details(action: Action) -> dict[str, Any]:
    """What an audit entry says of an action besides its outcome."""
    step = action.step
    if step.kind == "publish":
        return {"topic": step.topic, "uplink": step.uplink}
    if step.kind == "webhook":
        return {"host": host_of(step.url)}
    if step.kind == "command":
        return {"op": step.op, **({"device": step.device} if step.device else {})}
    if step.kind == "notify":
        return {"to": list(step.to), "message": action.text}
    if step.kind == "log":
        return {"message": action.text}
    return {"values": [f"{name}={value!r}" for name, value in action.values]}
