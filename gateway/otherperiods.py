"""Another polling period for some tags for a while: never a change of configuration, and it ends by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.clock import Clock
from gateway.model import Schedule, Tag
from gateway.plans import Line


class OtherPeriods:
    """Those of one channel. `replan(line)` makes a device's requests anew. They end with the channel."""

    def __init__(self, clock: Clock, replan: Callable[[Line], None]) -> None:
        self._clock = clock
        self._replan = replan

    def set(self, line: Line, tags: Sequence[Tag], every_s: float, for_s: float) -> None:
        """From now on; a later one for the same tag takes its place."""
        other = Schedule(every_s)
        begun = dict.fromkeys(tags, other)
        line.other_periods.update(begun)
        self._replan(line)
        self._clock.call_later(for_s, lambda: self._end(line, begun))

    def _end(self, line: Line, begun: dict[Tag, Schedule]) -> None:
        # the same object, not an equal one: a later command with equal words has its own end
        over = [tag for tag, schedule in begun.items() if line.other_periods.get(tag) is schedule]
        for tag in over:
            del line.other_periods[tag]
        if over:
            self._replan(line)
