"""A recording gone through again: the same rules must do the same, to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from msgspec import Struct

from gateway.model import Batch, Block
from rules.alarms.refusal import AlarmRefused
from rules.replay.baseline import resume
from rules.replay.entries import entry_from
from rules.replay.orders import order_from
from rules.replay.outcomes import Line, Outcomes, as_text
from rules.replay.recording import Head, NotARecording


class Difference(Struct, frozen=True):
    """The first place where both differ: the `number`th outcome, from 1. Empty where one has nothing more."""

    number: int
    now: str
    then: str


class Playback:
    """One run. `now`: what the rules do now; `then`: what they did."""

    def __init__(self, head: Head, take: Callable[[Line], object] = lambda _line: None) -> None:
        self.now: list[str] = []
        self.then: list[str] = []
        self.batches = 0
        self.end = ""
        self._sure = 0
        """So many outcomes came of what is surely in the recording with all of its outcomes: not of the last input."""

        def came(line: Line) -> None:
            self.now.append(as_text(line))
            take(line)

        self._engine = resume(head.book, head.tags, Outcomes(came), head.taken)
        by_device: dict[str, list[Any]] = {}
        for tag in head.tags:
            by_device.setdefault(tag.device, []).append(tag)
        self._blocks = {device: Block(device, tags) for device, tags in by_device.items()}
        self._places = {
            device: {tag.path: place for place, tag in enumerate(block.tags)} for device, block in self._blocks.items()
        }

    @property
    def is_cut(self) -> bool:
        """Whether the recording has no end: whoever wrote it was cut off."""
        return not self.end

    def run(self, lines: Iterable[dict[str, Any]]) -> Difference | None:
        """Go through all lines after the head; what differs first. Where the recording is cut, the outcomes of its last
        input may be missing. Raises NotARecording or NotAnEntry.
        """
        for line in lines:
            [(kind, item)] = line.items()
            try:
                self._take(kind, item)
            except (TypeError, ValueError, KeyError) as error:
                raise NotARecording(f"a line of this recording is damaged: {error!r}") from error
        return self._difference()

    def _take(self, kind: str, item: Any) -> None:
        engine = self._engine
        if kind not in ("outcome", "end"):
            self._sure = len(self.now)
        match kind:
            case "batch":
                self._batch(item)
            case "outcome":
                self._outcome(item)
            case "time":
                engine.advance(*item)
            case "polled":
                engine.polled(*item)
            case "issue":
                *more, is_set = item
                engine.orders.issue(*more, is_set=is_set)
            case "maintenance":
                *more, on = item
                engine.orders.maintenance(*more, on=on)
            case "end":
                self.end = str(item)
            case _:
                raise NotARecording(f"this recording has lines of a kind that this release does not know: {kind}")

    def _batch(self, item: dict[str, Any]) -> None:
        entry = entry_from(item)
        block = self._blocks.get(entry.device)
        if block is None:
            return
        places = self._places[entry.device]
        index = [places[path] for path in entry.tags]
        batch = Batch(block, entry.values, entry.ts, entry.at / 1000, index, entry.quality)
        self.batches += 1
        self._engine.on_batch(batch, entry.at, entry.offset)

    def _outcome(self, line: Line) -> None:
        """What was done then. What a person did is done again: it was no effect, but a cause."""
        order = order_from(line)
        if order is not None:
            with suppress(AlarmRefused):
                self._engine.orders.order(order.give, line["at"], line["ts"] - line["at"])
        self.then.append(as_text(line))

    def _difference(self) -> Difference | None:
        if self.now == self.then:
            return None
        if self.is_cut and len(self.then) >= self._sure and self.now[: len(self.then)] == self.then:
            return None
        for number, (now, then) in enumerate(zip(self.now, self.then, strict=False), 1):
            if now != then:
                return Difference(number, now, then)
        number = min(len(self.now), len(self.then))
        return Difference(number + 1, "".join(self.now[number : number + 1]), "".join(self.then[number : number + 1]))
