"""What a condition of three terms costs beside a bare lambda that makes the same comparisons, and to compile it.

Both run in turn in one process, the best round of each counts: what else the machine does meets both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.report import Row, at_most, main
from gateway.model import TagSpec, ValueType
from rules.expression import Bound, compile_expression
from rules.windows import make_window

_TEXT = "boiler.temperature > 80 and boiler.pressure > 3.5 and pump.speed < 1400"
_TAGS = {
    "boiler.temperature": TagSpec("temperature", ValueType.FLOAT32, None),
    "boiler.pressure": TagSpec("pressure", ValueType.FLOAT32, None),
    "pump.speed": TagSpec("speed", ValueType.UINT16, None),
}
_SLOTS = {"boiler.temperature": 3, "boiler.pressure": 7, "pump.speed": 9}
_VALUES = {3: 81.5, 7: 3.75, 9: 1250}
ROUNDS = 15
_CALLS = 100_000
_COMPILES = 300


def measure() -> list[Row]:
    run = _bound().run
    bare = lambda values: values[3] > 80 and values[7] > 3.5 and values[9] < 1400  # noqa: E731
    values = [_VALUES.get(slot) for slot in range(10)]
    quality = [0] * len(values)
    columns: Any = None  # nothing in the text looks at them
    assert run(values, quality, columns, 0) is bare(values) is True, "all three terms are looked at"

    def idle() -> None:
        for _ in range(_CALLS):
            pass

    def ours() -> None:
        for _ in range(_CALLS):
            run(values, quality, columns, 0)

    def bares() -> None:
        for _ in range(_CALLS):
            bare(values)

    def compiles() -> None:
        for _ in range(_COMPILES):
            _bound()

    least = _least(idle, ours, bares, compiles)
    rule, plain = (least[ours] - least[idle]) / _CALLS, (least[bares] - least[idle]) / _CALLS
    return [
        Row("condition of three terms, bare lambda", f"{plain * 1e9:.0f} ns"),
        Row("  as a rule's expression, with its quality checked", f"{rule * 1e9:.0f} ns"),
        at_most("  ratio", rule / plain, 2.5, "x"),
        Row("  to compile and bind it", f"{least[compiles] / _COMPILES * 1e6:.0f} us", note="once at each load"),
    ]


def _bound() -> Bound:
    return compile_expression(_TEXT, "", _find, condition=True).bind(_SLOTS, lambda spec: make_window(spec, 0), keep=64)


def _find(device: str, path: str) -> TagSpec | None:
    return _TAGS.get(f"{device}.{path}")


def _least(*works: Callable[[], None]) -> dict[Callable[[], None], float]:
    """The seconds of the best round of each."""
    found = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for work in works:
            begin = time.perf_counter()
            work()
            found[work] = min(found[work], time.perf_counter() - begin)
    return found


if __name__ == "__main__":
    main(measure)
