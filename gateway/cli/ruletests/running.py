"""Runs a case on an engine of its own, with a clock by hand, and says what was other than expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from gateway.cli.rulebooks import Loaded
from gateway.cli.ruletests.cases import Case, Expected, Order, Reading, Step, Wanted
from gateway.cli.ruletests.tagvalues import same_value
from gateway.cli.ruletests.wording import effect_text, item_text, moment
from gateway.model import Batch, Block, Quality, Tag
from rules.alarms.refusal import AlarmRefused
from rules.replay import Outcomes, start
from rules.replay.orders import Order as AlarmOrder

_BOOT_MS = 86_400_000
"""Where the boot clock stands when a test begins: whole minutes are then those of the test."""
_WHO = "test"
_SHOWN = 20
"""Effects that one failure shows."""
_TROUBLE = ("failed", "cut", "skipped")


class Failure(Struct, frozen=True):
    """What was other than a test expects, from one step on. `lines`: for people, each about one effect."""

    line: int
    at: int
    lines: tuple[str, ...]


class Run:
    """One case, once."""

    def __init__(self, case: Case, loaded: Loaded) -> None:
        self._case = case
        self._effects: list[dict[str, Any]] = []
        self._offset = case.start - _BOOT_MS
        self._engine = start(loaded.part(case.only), loaded.tags, Outcomes(self._take), _BOOT_MS, self._offset)
        self._blocks: dict[str, Block] = {}
        by_device: dict[str, list[Tag]] = {}
        for tag in loaded.tags:
            by_device.setdefault(tag.device, []).append(tag)
        self._blocks = {device: Block(device, tags) for device, tags in by_device.items()}

    def failures(self) -> list[Failure]:
        """Run it. What nothing has asked for at the end is a failure as well."""
        found: list[Failure] = []
        for step in self._case.steps:
            lines = self._step(step)
            if lines:
                found.append(Failure(step.line, step.at, tuple(lines)))
        if self._effects:
            last = self._case.steps[-1]
            left = ["came after the last `expect`:", *self._came(self._effects)]
            found.append(Failure(last.line, last.at, tuple(left)))
        return found

    def _take(self, line: dict[str, Any]) -> None:
        """Effects are steps, changes of alarms, and what went wrong with a rule."""
        if line["kind"] != "rule" or line["what"] in _TROUBLE:
            self._effects.append(line)

    def _step(self, step: Step) -> list[str]:
        at = _BOOT_MS + step.at
        self._engine.advance(at, self._offset)
        if step.clock is not None:
            self._offset = step.clock - at
            self._engine.advance(at, self._offset)
        for batch in self._batches(step.readings, at):
            self._engine.on_batch(batch, at, self._offset)
        lines = [text for order in step.orders for text in self._order(order, at)]
        if step.expect is not None:
            effects, self._effects = self._effects, []
            lines += self._differences(step.expect, effects, ordered=step.ordered)
        return lines + [text for wanted in step.values for text in self._value(wanted)]

    def _batches(self, readings: Iterable[Reading], at: int) -> list[Batch]:
        """One for each device, in the order in which they are first named."""
        by_device: dict[str, list[Reading]] = {}
        for reading in readings:
            by_device.setdefault(reading.tag.device, []).append(reading)
        batches = []
        for device, group in by_device.items():
            block = self._blocks[device]
            index = [block.tags.index(reading.tag) for reading in group]
            quality = [reading.quality for reading in group]
            values = [reading.value for reading in group]
            batches.append(Batch(block, values, at + self._offset, at / 1000, index, quality if any(quality) else None))
        return batches

    def _order(self, order: Order, at: int) -> list[str]:
        try:
            key = self._engine.alarms.resolve(order.key)
            given = AlarmOrder(at + self._offset, order.what, key, _WHO, seconds=order.seconds)
            self._engine.orders.order(given.give, at, self._offset)
        except AlarmRefused as refused:
            return [f"{order.what}: {order.key} was refused: {refused}"]
        return []

    def _value(self, wanted: Wanted) -> list[str]:
        columns = self._engine.columns
        slot = wanted.tag.slot
        value, quality = columns.values[slot], columns.quality[slot]
        good = quality < Quality.UNCERTAIN if not wanted.quality else Quality(quality).text == wanted.quality
        if wanted.value is None and not wanted.quality:
            good = value is None
        if good and (wanted.value is None or same_value(wanted.value, value)):
            return []
        has = f"{item_text(value)}, {Quality(quality).text}"
        return [f"{wanted.tag.name} is {has}, not {item_text(wanted.value)}"]

    def _differences(
        self, expected: Sequence[Expected], effects: Sequence[dict[str, Any]], *, ordered: bool
    ) -> list[str]:
        pairs = _in_order(expected, effects) if ordered else _pairs(expected, effects)
        missing = [f"  - {one.shown}   (line {one.line})" for place, one in enumerate(expected) if place not in pairs]
        taken = set(pairs.values())
        more = self._came([effect for place, effect in enumerate(effects) if place not in taken])
        lines = ["expected, but it did not come:", *missing] if missing else []
        return lines + (["came, but it is not expected:", *more] if more else [])

    def _came(self, effects: Sequence[dict[str, Any]]) -> list[str]:
        """Effects for people, as they can be written into the test."""
        lines = [self._came_one(effect) for effect in effects[:_SHOWN]]
        return lines + ([f"  ... and {len(effects) - _SHOWN} more"] if len(effects) > _SHOWN else [])

    def _came_one(self, effect: dict[str, Any]) -> str:
        by = f" by {effect['rule']}" if effect["kind"] == "action" else ""
        dry = ", dry run" if effect.get("dry_run") else ""
        return f"  + {effect_text(effect)}   (at {moment(effect['at'] - _BOOT_MS)}{by}{dry})"


def _pairs(expected: Sequence[Expected], effects: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Which effect meets which expectation: as many as can be, each once."""
    met: dict[int, int] = {}

    def place(wanted: int, tried: set[int]) -> bool:
        for number, effect in enumerate(effects):
            if number in tried or not _meets(effect, expected[wanted]):
                continue
            tried.add(number)
            holder = next((other for other, taken in met.items() if taken == number), None)
            if holder is None or place(holder, tried):
                met[wanted] = number
                return True
        return False

    for wanted in range(len(expected)):
        place(wanted, set())
    return met


def _in_order(expected: Sequence[Expected], effects: Sequence[dict[str, Any]]) -> dict[int, int]:
    """The same where the order counts: as many as follow each other."""
    met: dict[int, int] = {}
    next_ = 0
    for wanted, one in enumerate(expected):
        found = next((number for number in range(next_, len(effects)) if _meets(effects[number], one)), None)
        if found is not None:
            met[wanted] = found
            next_ = found + 1
    return met


def _meets(effect: dict[str, Any], expected: Expected) -> bool:
    return all(_same(effect.get(name), wanted) for name, wanted in expected.wanted.items())


def _same(has: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(has, dict):
        return has.keys() == wanted.keys() and all(_same(has[name], value) for name, value in wanted.items())
    return same_value(has, wanted)
