"""What an engine gets and does, written down as it happens: lines that `playback` goes through again.

Whoever feeds the engine tells the tape first; effects come through an outlet around the engine's own. Lines are JSON
objects with one key: `batch`, `time`, `polled`, `issue`, `maintenance` are what it gets, `outcome` is what it does,
`end` says why it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.model import Batch, Tag, Value
from rules.replay.entries import Entry, entry_to
from rules.replay.outcomes import Line, Outcomes
from rules.values import Do, Outlet, RuleEvent, Transition


class Tape:
    """One recording. `put` takes each line at once."""

    def __init__(self, put: Callable[[Line], None]) -> None:
        self._put = put
        self.outcomes = Outcomes(lambda line: put({"outcome": line}))

    def batch(self, batch: Batch, at: int, offset: int) -> None:
        tags = tuple(tag.path for tag in batch.tags)
        quality = None if batch.quality is None else tuple(int(code) for code in batch.quality)
        entry = Entry(at, offset, "", batch.ts, batch.block.device, tags, tuple(batch.values), quality)
        self._put({"batch": entry_to(entry)})

    def time(self, at: int, offset: int) -> None:
        """The engine is woken for a deadline."""
        self._put({"time": [at, offset]})

    def polled(self, device: str, at: int) -> None:
        self._put({"polled": [device, at]})

    def issue(self, issue: str, entity: str, text: str, at: int, offset: int, *, is_set: bool) -> None:
        self._put({"issue": [issue, entity, text, at, offset, is_set]})

    def maintenance(self, device: str, at: int, offset: int, *, on: bool) -> None:
        self._put({"maintenance": [device, at, offset, on]})

    def end(self, why: str) -> None:
        """Nothing comes any more."""
        self._put({"end": why})


class Heard:
    """An engine's outlet that tapes listen to. Computed values are not written down: they are made again."""

    def __init__(self, outlet: Outlet, tapes: Sequence[Tape]) -> None:
        self.outlet = outlet
        self._tapes = tapes

    def do(self, action: Do) -> None:
        for tape in self._tapes:
            tape.outcomes.do(action)
        self.outlet.do(action)

    def computed(self, tags: Sequence[Tag], values: Sequence[Value], quality: Sequence[int], ts: int, at: int) -> None:
        self.outlet.computed(tags, values, quality, ts, at)

    def alarm(self, transition: Transition, row: dict[str, Any] | None) -> None:
        for tape in self._tapes:
            tape.outcomes.alarm(transition, row)
        self.outlet.alarm(transition, row)

    def keep_alarm(self, key: str, row: dict[str, Any] | None) -> None:
        self.outlet.keep_alarm(key, row)

    def rule(self, event: RuleEvent) -> None:
        for tape in self._tapes:
            tape.outcomes.rule(event)
        self.outlet.rule(event)

    def keep(self, key: str, row: Any) -> None:
        self.outlet.keep(key, row)
