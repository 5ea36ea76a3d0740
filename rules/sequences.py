"""Sequences of actions with delays. A rule plays one at a time: a new one takes the place of what is left of the old.

Where a sequence stands is kept with each delay, so that it goes on after a restart. One whose delay was over for
longer than LATE_S is dropped: what was right then may be wrong now.
"""

from __future__ import annotations

from typing import Any, Protocol

from gateway.model import Value
from gateway.rulebook import RuleSpec
from rules.columns import Columns
from rules.steps import CompiledStep, fingerprint
from rules.timers import Timers
from rules.values import Instant

LATE_S = 600.0
GRACE_MS = 5000
"""What became due while nobody was there is done so long after the start."""
ROW = 1


class Stage(Protocol):
    """What sequences need of the engine."""

    @property
    def columns(self) -> Columns: ...

    @property
    def timers(self) -> Timers: ...

    @property
    def now(self) -> Instant: ...

    def keep(self, key: str, row: Any) -> None: ...

    def act(
        self, rule: RuleSpec, edge: str, step: CompiledStep, values: tuple[tuple[str, Value], ...], text: str
    ) -> None:
        """A step is due."""
        ...

    def skipped(self, rule: RuleSpec, text: str) -> None:
        """A step cannot be done."""
        ...


class Player:
    """Plays the sequences of one rule. `now` comes with each call; the engine's timers bring it back after a delay."""

    def __init__(self, spec: RuleSpec, steps: dict[str, list[CompiledStep]], stage: Stage) -> None:
        self.spec = spec
        self.steps = steps
        self._stage = stage
        self._key = f"sequence/{spec.id}"
        self._written = {"start": spec.start, "every": spec.start, "end": spec.end}
        self.edge = ""
        self._next = 0
        self._kept = False

    def play(self, edge: str, now: Instant) -> None:
        """Begin a sequence; what is left of another one is not done any more."""
        self.stop()
        if self.steps.get(edge):
            self.edge, self._next = edge, 0
            self._go_on(now)

    def stop(self) -> None:
        """Do nothing more of what is running."""
        self.edge = ""
        self._stage.timers.cancel(self._key)
        if self._kept:
            self._kept = False
            self._stage.keep(self._key, None)

    def _go_on(self, now: Instant) -> None:
        steps = self.steps[self.edge]
        while self._next < len(steps):
            step = steps[self._next]
            self._next += 1
            if step.kind == "delay":
                self._wait(now.at + step.delay_ms)
                return
            self._do(step, now)
        self.stop()

    def _do(self, step: CompiledStep, now: Instant) -> None:
        values, text, missing = step.resolve(self._stage.columns, now)
        if missing:
            self._stage.skipped(self.spec, f"{step.kind} {missing}: its value is not known now")
        else:
            self._stage.act(self.spec, self.edge, step, values, text)

    def _wait(self, deadline: int) -> None:
        written = fingerprint(self._written[self.edge])
        row = {"v": ROW, "edge": self.edge, "next": self._next, "due": deadline, "of": written}
        self._kept = True
        self._stage.keep(self._key, row)
        self._stage.timers.set(self._key, deadline, lambda: self._go_on(self._stage.now))

    def restore(self, row: Any, now: Instant, shift: int) -> None:
        """Take up what was waiting before a restart. What is due already comes a little later: devices are to be read
        first. `shift`: what is added to the row's time (another boot).
        """
        try:
            edge, next_, due, written = row["edge"], row["next"], row["due"] + shift, row["of"]
            usable = row["v"] == ROW and written == fingerprint(self._written[edge]) and next_ <= len(self.steps[edge])
        except (KeyError, TypeError):
            usable = False
        self._kept = True
        if not usable:
            self.stop()
            return
        late_ms = now.at - due
        if late_ms > LATE_S * 1000:
            self.stop()
            self._stage.skipped(
                self.spec, f"the rest of its {edge} is {late_ms // 1000} s late and is not done any more"
            )
            return
        self.edge, self._next = edge, next_
        self._wait(due if due > now.at else now.at + GRACE_MS)

    def adopt(self, old: Player, now: Instant) -> None:
        """Go on where the same rule was before a reload, if its steps are the same."""
        deadline = self._stage.timers.deadline(self._key)
        if deadline is None or not old.edge:
            return
        if fingerprint(old._written[old.edge]) != fingerprint(self._written[old.edge]):
            self._kept = old._kept
            self.stop()
            return
        self.edge, self._next, self._kept = old.edge, old._next, old._kept
        self._stage.timers.set(self._key, max(deadline, now.at), lambda: self._go_on(self._stage.now))
