"""Limits of alarms as the expressions that they stand for: `above: 1400, deadband: 20` becomes `{pump.speed} > 1400`
and, for its end, `{pump.speed} < 1380`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec import Struct

from gateway.model import TagSpec, ValueType
from gateway.settings.convert import show
from gateway.settings.other_words import RULE_ALARM
from gateway.settings.positions import Layers, Origin, Problems
from gateway.settings.rule_keys import AlarmKeys, DeviationKeys, LevelKeys, RateLimitKeys
from gateway.settings.sections import section
from gateway.transform import RAW, engineering_kind

KINDS = ("above", "below", "levels", "rate", "deviation", "is", "stale")
"""Keys of an alarm on a tag; it has one of them."""
NUMERIC = ("above", "below", "levels", "rate", "deviation")
MAX_STALE_S = 30 * 86400.0
_TEXT = {ValueType.STRING}


class Limit(Struct, frozen=True):
    """One limit. `said`: for people. `suffix`: of the alarm's id, for a level; `over`: the level's own keys."""

    on: str
    off: str
    said: str
    suffix: str = ""
    over: LevelKeys | None = None


class Watched(Struct, frozen=True):
    """The tag that an alarm watches."""

    name: str
    path: str
    spec: TagSpec

    @property
    def braced(self) -> str:
        return f"{{{self.name}}}"


class LimitMaker:
    """The limits of one alarm. Everything wrong is reported where it was written."""

    def __init__(self, tag: Watched, keys: AlarmKeys, layers: Layers, problems: Problems) -> None:
        self._tag = tag
        self._keys = keys
        self._layers = layers
        self._problems = problems

    def limits(self, kind: str, other: str) -> list[Limit]:
        """The limits of key `kind`. `other`: the tag of `deviation` in braces, or its number."""
        if kind in NUMERIC and not self._is_number(kind):
            return []
        if kind == "levels":
            return list(self._levels())
        makers = {"above": self._above, "below": self._below, "rate": self._rate, "is": self._is, "stale": self._stale}
        made = self._deviation(other) if kind == "deviation" else makers[kind]()
        return [] if made is None else [made]

    def _is_number(self, kind: str) -> bool:
        if RAW[self._tag.spec.type].bits > 1:
            return True
        hint = "use `is: true`" if self._tag.spec.type is ValueType.BOOL else "use `is`"
        message = f"`{kind}` is for numbers, `{self._tag.name}` is a {self._tag.spec.type.value}"
        self._problems.at_key(self._layers.origin(kind), message, hint, spoils=True)
        return False

    # --- one limit ----------------------------------------------------------------------------------------------

    def _above(self) -> Limit | None:
        self._check_range("above", self._keys.above, self._layers.origin("above"))
        return self._side(self._keys.above, None, self._keys.deadband)

    def _below(self) -> Limit | None:
        self._check_range("below", self._keys.below, self._layers.origin("below"))
        return self._side(None, self._keys.below, self._keys.deadband)

    def _side(self, above: float | None, below: float | None, deadband: float, of: str = "") -> Limit | None:
        """A limit of `of`, which is the tag unless it is said."""
        text = of or self._tag.braced
        if above is not None:
            off = f"{text} < {number(above, -deadband)}" if deadband else ""
            return Limit(f"{text} > {number(above)}", off, f"above {number(above)}{self._unit()}")
        if below is not None:
            off = f"{text} > {number(below, deadband)}" if deadband else ""
            return Limit(f"{text} < {number(below)}", off, f"below {number(below)}{self._unit()}")
        return None

    def _unit(self) -> str:
        unit = self._tag.spec.unit
        return f" {unit}" if unit else ""

    def _check_range(self, side: str, limit: float | None, origin: Origin) -> None:
        """A value outside of the range is bad, so such a limit would never be passed by a good one."""
        span = self._tag.spec.range
        if span is None or limit is None:
            return
        if (side == "above" and limit >= span[1]) or (side == "below" and limit <= span[0]):
            end = "ends" if side == "above" else "begins"
            edge = number(span[1] if side == "above" else span[0])
            message = f"this never becomes active: the `range` of `{self._tag.name}` {end} at {edge}"
            self._problems.at(origin, message, "correct the limit, or the range", spoils=True)

    def _levels(self) -> Iterator[Limit]:
        written = self._keys.levels
        if written is None:
            return  # of a wrong type, and told so
        if not written:
            self._problems.at(self._layers.origin("levels"), "`levels` is empty", "write {h: {above: 80}}")
        taken: dict[tuple[str, float], str] = {}
        for name, value in written.items():
            origin = self._layers.origin("levels", name)
            if not name.isalnum() or not name.isascii():
                self._problems.at_key(origin, f"`{name}` cannot end an id", "write h, hh, l or ll")
            found = self._level(name, value, origin)
            if found is None:
                continue
            side, limit, made = found
            is_off = made.over is not None and made.over.enabled is False
            other = name if is_off else taken.setdefault((side, limit), name)
            if other != name:
                message = f"the levels `{other}` and `{name}` have the same limit: both become active at once"
                self._problems.at(origin.child(side), message, "correct one of them, or remove it")
            yield made

    def _level(self, name: str, value: Any, origin: Origin) -> tuple[str, float, Limit] | None:
        """A level: its side, its number, and the limit that it stands for."""
        if not isinstance(value, dict):
            written = show(value) if isinstance(value, int | float) and not isinstance(value, bool) else "80"
            hint = f"write {name}: {{{'below' if name.startswith('l') else 'above'}: {written}}}"
            self._problems.at(origin, f"a level is a mapping, not {show(value)}", hint)
            return None
        keys = section(LevelKeys, value, origin, self._problems, what=f"level `{name}`", hints=RULE_ALARM)
        if keys is None:
            return None
        if ("above" in value) == ("below" in value):
            hint = f"write {name}: {{above: 80, priority: high}}"
            self._problems.at_key(origin, f"the level `{name}` needs one of `above` and `below`", hint)
            return None
        side = "above" if "above" in value else "below"
        limit = keys.above if keys.below is None else keys.below
        self._check_range(side, limit, origin.child(side))
        deadband = self._keys.deadband if keys.deadband is None else keys.deadband
        made = self._side(keys.above, keys.below, deadband)
        if made is None or limit is None:
            return None
        return side, limit, Limit(made.on, made.off, made.said, f"_{name}", keys)

    def _rate(self) -> Limit | None:
        origin = self._layers.origin("rate")
        written = self._keys.rate
        if written is None:
            return None
        keys = section(RateLimitKeys, written, origin, self._problems, what="`rate`")
        if keys is None:
            return None
        if ("above" in written) == ("below" in written):
            hint = "write rate: {above: 5, over: 10s}, in units per second"
            self._problems.at_key(origin, "`rate` needs one of `above` and `below`", hint)
            return None
        over = "" if keys.over is None else f", {span(keys.over)}"
        made = self._side(keys.above, keys.below, self._keys.deadband, f"rate({self._tag.braced}{over})")
        limit = keys.above if keys.above is not None else keys.below
        return None if made is None or limit is None else Limit(made.on, made.off, self._speed(limit, made.said))

    def _speed(self, limit: float, said: str) -> str:
        """A limit on a speed in words: `falls faster than 2 m3/h per s`."""
        is_up = limit > 0 or (limit == 0 and said.startswith("above"))
        is_faster = is_up == said.startswith("above")
        way = f"{'rises' if is_up else 'falls'} {'faster' if is_faster else 'slower'}"
        return f"{way} than {number(abs(limit))}{self._unit()} per s"

    def _deviation(self, other: str) -> Limit | None:
        origin = self._layers.origin("deviation")
        if self._keys.deviation is None:
            return None
        keys = section(DeviationKeys, self._keys.deviation, origin, self._problems, what="`deviation`")
        if keys is None or not other:
            return None
        made = self._side(keys.above, None, self._keys.deadband, f"abs({self._tag.braced} - {other})")
        if made is None:
            return None
        said = f"more than {number(keys.above)}{self._unit()} from {other.strip('{}')}"
        return Limit(made.on, made.off, said)

    # --- states ---------------------------------------------------------------------------------------------------

    def _is(self) -> Limit | None:
        wanted = self._keys.is_
        if wanted is None:
            return None  # of a wrong type, and told so
        values = wanted if isinstance(wanted, list) else [wanted]
        texts = [self._literal(value, index) for index, value in enumerate(values)]
        if not texts:
            self._problems.at(self._layers.origin("is"), "`is` names no value", "write is: [fault, stopped]")
        if not texts or None in texts:
            return None
        said = f"is {' or '.join(_shown(value) for value in values)}"
        text = self._tag.braced
        if self._tag.spec.type is ValueType.BOOL:
            on = text if texts[0] == "true" else f"not {text}"
        elif len(texts) == 1:
            on = f"{text} == {texts[0]}"
        else:
            on = f"{text} in ({', '.join(str(one) for one in texts)})"
        return Limit(on, "", said)

    def _literal(self, value: Any, index: int) -> str | None:
        """A value of the tag as the expression has it; labels stand for their numbers."""
        spec = self._tag.spec
        many = isinstance(self._keys.is_, list)
        origin = self._layers.origin("is", index) if many else self._layers.origin("is")
        labels = {label: raw for raw, label in spec.labels}
        if isinstance(value, str) and spec.labels and value not in labels:
            known = ", ".join(labels)
            self._problems.at(origin, f"`{self._tag.name}` has no label `{value}`", f"known: {known}", spoils=True)
            return None
        value = labels.get(value, value) if isinstance(value, str) else value
        if spec.type in _TEXT and isinstance(value, str):
            return repr(value)
        if spec.type is ValueType.BOOL and (isinstance(value, bool) or value in {0, 1}):
            if many and index:
                self._problems.at(origin, "a bool is always one of both", "write is: true", spoils=True)
            return "true" if value else "false"
        whole = RAW[spec.type].bits > 1 and engineering_kind(RAW[spec.type], spec.transform) == "int"
        if whole and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        fractions = RAW[spec.type].bits > 1 and not whole
        hint = "use `above` or `below`" if fractions else ""
        message = f"`{self._tag.name}` is a {spec.type.value} and is never exactly {_shown(value)}"
        self._problems.at(origin, message, hint, spoils=True)
        return None

    def _stale(self) -> Limit | None:
        seconds = self._keys.stale
        if seconds is None:
            return None  # of a wrong type, and told so
        if not 0 < seconds <= MAX_STALE_S:
            self._problems.at(self._layers.origin("stale"), "`stale` is above 0s and at most 30d", "write 60s")
            return None
        text, limit = self._tag.braced, number(seconds)
        return Limit(f"age({text}) > {limit}", "", f"not known to be good for {limit} s")


def number(value: float, plus: float = 0) -> str:
    """`value + plus` in decimal digits as people write it: no exponent, no noise of binary fractions."""
    exact = Decimal(repr(value)) + Decimal(repr(plus))
    if exact == exact.to_integral_value():
        return str(int(exact))
    return format(exact.normalize(), "f")


def span(seconds: float) -> str:
    """A duration as expressions have it."""
    return f"{seconds:.0f}s" if float(seconds).is_integer() else f"{round(seconds * 1000)}ms"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
