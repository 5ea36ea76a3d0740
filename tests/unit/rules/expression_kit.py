"""A small plant for tests of expressions: its tags, columns of values, and ways to compile and run a text."""

from __future__ import annotations

from gateway.model import Access, Quality, TagSpec, Transform, ValueType
from rules.expression import Bound, Program, compile_expression
from rules.values import Instant
from rules.windows import WindowSpec, make_window
from rules.windows.spec import MAX_SIZE_MS

_LABELS = ((0, "off"), (1, "heat"), (2, "cool"))
TAGS = {
    "boiler.temperature": TagSpec("temperature", ValueType.FLOAT32, None),
    "boiler.pressure": TagSpec("pressure", ValueType.FLOAT64, None),
    "boiler.level": TagSpec("level", ValueType.INT16, None),
    "boiler.power": TagSpec("power", ValueType.UINT16, None, transform=Transform(scale=0.1)),
    "boiler.mode": TagSpec("mode", ValueType.UINT16, None, labels=_LABELS),
    "boiler.status": TagSpec("status", ValueType.STRING, None),
    "boiler.recipe": TagSpec("recipe", ValueType.STRING, None),
    "boiler.raw": TagSpec("raw", ValueType.BYTES, None),
    "boiler.echo": TagSpec("echo", ValueType.BYTES, None),
    "boiler.burner": TagSpec("burner", ValueType.BOOL, None),
    "boiler.abs": TagSpec("abs", ValueType.FLOAT64, None),
    "boiler.in": TagSpec("in", ValueType.BOOL, None),
    "boiler.limits/high": TagSpec("limits/high", ValueType.FLOAT64, None),
    "boiler.reset": TagSpec("reset", ValueType.BOOL, None, access=Access.WRITE),
    "pump.run": TagSpec("run", ValueType.BOOL, None),
    "pump.in": TagSpec("in", ValueType.BOOL, None),
    "pump.speed": TagSpec("speed", ValueType.INT32, None),
    "min.max": TagSpec("max", ValueType.FLOAT64, None),
    "line1-plc00.temperature": TagSpec("temperature", ValueType.FLOAT32, None),
    "1st-floor.in": TagSpec("in", ValueType.BOOL, None),
}
"""All tags that there are, by full name."""
SLOTS = {name: slot for slot, name in enumerate(TAGS)}
GOOD = int(Quality.GOOD)
STALE = int(Quality.STALE)
LAST_KNOWN = int(Quality.LAST_KNOWN)
BAD_COMM = int(Quality.BAD_COMM)


def find(device, path):
    return TAGS.get(f"{device}.{path}")


def compiled(text, *, condition=False, device="boiler") -> Program:
    return compile_expression(text, device, find, condition=condition)


def new_window(spec: WindowSpec):
    """One that has been watched for long at 0."""
    window = make_window(spec, -MAX_SIZE_MS)
    window.move(moment(0))
    return window


class Known:
    """What a plant shows at one moment. `values` and `qualities` by full name; all other tags are good and None."""

    def __init__(self, qualities=None, **values):
        self.values = [None] * len(SLOTS)
        self.quality = [GOOD] * len(SLOTS)
        self.previous = [None] * len(SLOTS)
        self.arrived = [0] * len(SLOTS)
        self.before_at = [0] * len(SLOTS)
        self.polled_at = [0] * len(SLOTS)
        self.changed = set()
        for name, value in values.items():
            self.values[SLOTS[f"boiler.{name}"]] = value
        for name, quality in (qualities or {}).items():
            self.quality[SLOTS[f"boiler.{name}"]] = quality

    def polled(self, slot):
        return self.polled_at[slot]

    def run(self, bound: Bound, at=0):
        return bound.run(self.values, self.quality, self, at)


def bound(text, *, keep=64, condition=False, windows=new_window) -> Bound:
    return compiled(text, condition=condition).bind(SLOTS, windows, keep=keep)


def value(text, *, keep=64, at=0, qualities=None, **values):
    """What `text` gives for tags of the boiler that have these values."""
    return Known(qualities, **values).run(bound(text, keep=keep), at)


def moment(at):
    return Instant(at, at)
