"""The text of a cron line: five fields of numbers, names, ranges, steps and lists."""

from __future__ import annotations

import re
from datetime import date

from msgspec import Struct

from gateway.rulebook import ExpressionError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAYS_OF = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MAX_CHARACTERS = 200

SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FORM = "five fields: minute hour day month weekday, as in 30 2 * * mon-fri"


class _Field(Struct, frozen=True):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str, offset: int) -> int:
        """What one number or name means. Raises ExpressionError."""
        if (word := text.lower()) in self.names:
            return self.names.index(word) + self.low
        if not (text.isascii() and text.isdigit()):
            names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ExpressionError(
                f"{text!r} is no {self.name}",
                offset,
                f"{self.low} to {self.high}{names}, lists, ranges, steps: {_FORM}",
            )
        number = int(text[:9])
        if not self.low <= number <= self.high:
            raise ExpressionError(f"{text} is no {self.name}: {self.low} to {self.high}", offset)
        return number


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 7, _WEEKDAYS),
)


class Line(Struct, frozen=True):
    """What a cron line says. Numbers in order; weekdays from 0, Sunday. `either`: day or weekday will do."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    @property
    def every_hour(self) -> bool:
        """Whether it runs in every hour, so that no hour of the day is named."""
        return len(self.hours) == 24

    def on(self, day: date) -> bool:
        """Whether it runs on a date."""
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either else by_day and by_weekday


def parse(text: str) -> Line:
    """Raises ExpressionError with the place and a hint."""
    if len(text) > _MAX_CHARACTERS:
        raise ExpressionError(f"a cron line has at most {_MAX_CHARACTERS} characters", _MAX_CHARACTERS)
    words = [(match.group(), match.start()) for match in re.finditer(r"\S+", text)]
    if words and words[0][0].startswith("@"):
        words = _spelled_out(words)
    if len(words) != len(_FIELDS):
        offset = words[len(_FIELDS)][1] if len(words) > len(_FIELDS) else len(text)
        raise ExpressionError(f"a cron line has five fields, not {len(words)}", offset, _FORM)
    minutes, hours, days, months, weekdays = (
        _values(field, word, offset) for field, (word, offset) in zip(_FIELDS, words, strict=True)
    )
    either = not (words[2][0].startswith("*") or words[4][0].startswith("*"))
    if not either and min(days) > max(_DAYS_OF[month - 1] for month in months):
        raise ExpressionError(
            f"no such day: none of the months has a day {min(days)}", words[2][1], "28-31 for the last days of a month"
        )
    return Line(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        either=either,
    )


def _spelled_out(words: list[tuple[str, int]]) -> list[tuple[str, int]]:
    (word, offset), *rest = words
    line = SHORT.get(word.lower())
    if line is None:
        raise ExpressionError(f"{word!r} is not known", offset, f"one of {', '.join(SHORT)}, or {_FORM}")
    if rest:
        raise ExpressionError(f"{word} stands alone", rest[0][1], word)
    return [(field, offset) for field in line.split()]


def _values(field: _Field, text: str, offset: int) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        values.update(_range(field, part, offset))
        offset += len(part) + 1
    return values


def _range(field: _Field, text: str, offset: int) -> range:
    """One part of a list: a number, `*`, `a-b`, each perhaps with a step."""
    span, slash, step_text = text.partition("/")
    if span == "*":
        low, high = field.low, 6 if field.name == "weekday" else field.high
    elif "-" in span:
        low, high = _bounds(field, span, offset)
    else:
        low = high = field.number(span, offset)
        if slash:
            top = 6 if field.name == "weekday" else field.high
            raise ExpressionError("a step follows a range or *", offset, f"{span}-{top}/{step_text}")
    if not slash:
        return range(low, high + 1)
    place = offset + len(span) + 1
    if not (step_text.isascii() and step_text.isdigit()) or not int(step_text[:9]):
        raise ExpressionError(f"{step_text!r} is no step", place, f"{span}/2")
    step = int(step_text[:9])
    if step > high - low:
        raise ExpressionError(f"a step of {step} leaves only {low} of {span}", place, f"{low}")
    return range(low, high + 1, step)


def _bounds(field: _Field, span: str, offset: int) -> tuple[int, int]:
    first, _, last = span.partition("-")
    low, high = field.number(first, offset), field.number(last, offset + len(first) + 1)
    if field.name == "weekday" and high == 0 and low > 0:
        high = 7  # Sunday as the end of a week
    if low > high:
        top = "6" if field.name == "weekday" else f"{field.high}"
        raise ExpressionError(f"{span} runs backwards", offset, f"{first}-{top},{field.low}-{last}")
    return low, high
