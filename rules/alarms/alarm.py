"""One alarm at work, and the row that brings it over a restart."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct, field

from gateway.model import Value
from gateway.rulebook import AlarmSpec
from rules.alarms.chattering import Chatter
from rules.alarms.machine import ACTIVE, AWAY, NORMAL, SHELVED, STATES, SUPPRESSED, Beneath
from rules.alarms.refusal import COMMENT_CHARS, LONGEST_S, WHO_CHARS
from rules.values import Input, Instant

VERSION = 1

_GOOD = "good"
_ROUNDED_MS = 2
"""What two clocks, each rounded to milliseconds at two moments, may differ by."""
_PLACE = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


class Kept(Struct):
    """What of an alarm outlives the process. Times in UTC ms, but `until_at` and `active_at` (ms on the boot clock).

    `condition`, `latch`, `reasons`: what is underneath (machine.Beneath). `until`, `until_at`, `shelved_ms`: the end of
    the shelving and how long it was meant to be. `quality`: the input is not good since it is active. `who`, `comment`:
    of whoever acknowledged it or put it away. `since`: its last transition, the `n`th.
    """

    state: str = NORMAL
    condition: bool = False
    latch: bool = False
    reasons: tuple[str, ...] = ()
    until: int = 0
    until_at: int = 0
    shelved_ms: int = 0
    t_cond: int = 0
    t_active: int = 0
    active_at: int = 0
    value: Any = None
    text: str = ""
    quality: str = ""
    who: str = ""
    comment: str = ""
    first_out: bool = False
    since: int = 0
    n: int = 0


class _Row(Kept, forbid_unknown_fields=True, omit_defaults=True):
    v: int = 0


class Alarm(Kept):
    """One alarm. `inputs` and `chatter` are of this process only."""

    spec: AlarmSpec = field(default_factory=lambda: AlarmSpec("", ""))
    inputs: tuple[Input, ...] = ()
    chatter: Chatter = field(default_factory=Chatter)

    @property
    def key(self) -> str:
        return self.spec.key

    @property
    def beneath(self) -> Beneath:
        return Beneath(self.condition, self.latch, bool(self.reasons))

    @property
    def shown_text(self) -> str:
        """As it was when the alarm became active; else as configured, with an ellipsis for each value."""
        return self.text or without_values(self.spec.text)

    @property
    def standing_since(self) -> int:
        """While it is active and told of: since when it is. Else its last transition. UTC ms."""
        return self.t_active if self.t_active and self.state in ACTIVE else self.since

    def began(
        self, now: Instant, t_cond: int, t_active: int, value: Value, text: str, inputs: tuple[Input, ...]
    ) -> None:
        """The condition has become active."""
        self.condition = True
        self.t_cond, self.t_active, self.active_at = t_cond or now.wall, t_active or now.wall, now.at
        self.value, self.text, self.inputs, self.quality = value, text, inputs, ""

    def forget(self) -> None:
        """Nothing of its last activation matters any more."""
        self.t_cond = self.t_active = self.active_at = 0
        self.value, self.text, self.inputs, self.quality = None, "", (), ""

    def row(self) -> dict[str, Any] | None:
        """Its persistent form: a dict that msgpack takes. None when there is nothing to keep."""
        if self.state == NORMAL:
            return None
        kept = {name: getattr(self, name) for name in Kept.__struct_fields__}
        row: dict[str, Any] = msgspec.to_builtins(_Row(**kept, v=VERSION), builtin_types=(bytes,))
        return row

    def restore(self, row: Any, now: Instant, shift: int) -> str:
        """Take up what `row` says. Returns why it cannot be, and nothing is changed then; empty when all is well.

        `shift` is added to times on the boot clock. A shelving ends by the wall clock, but lasts neither longer than it
        was meant to nor longer than the boot clock says: a clock that was set does not lengthen it. One whose time was
        up in between ends now.
        """
        try:
            read = msgspec.convert(row, _Row)
        except msgspec.ValidationError as error:
            return f"its row is damaged: {error}"
        wrong = _wrong(read)
        if wrong:
            return wrong
        for name in Kept.__struct_fields__:
            setattr(self, name, getattr(read, name))
        if self.t_active:
            self.active_at += shift
        if self.state == SHELVED:
            left = min(self.until - now.wall, self.shelved_ms, self.until_at + shift - now.at)
            left = max(0, left)
            self.until, self.until_at = self.end_on_the_wall(now, now.at + left), now.at + left
        return ""

    def end_on_the_wall(self, now: Instant, end: int) -> int:
        """UTC ms of `end` on the boot clock: the time that was promised, unless a clock was set since. The two clocks
        are rounded each by itself, and what people were told does not move by that.
        """
        wall = now.wall - (now.at - end)
        return self.until if abs(wall - self.until) <= _ROUNDED_MS else wall


def _wrong(row: _Row) -> str:
    """Why a row of the right form cannot be true."""
    if row.v != VERSION:
        return f"its row has the unknown version {row.v}"
    if row.state not in STATES or not isinstance(row.value, bool | int | float | str | bytes | None):
        return "its row is damaged: a word that means nothing"
    if row.state not in AWAY and (row.condition != (row.state in ACTIVE) or row.reasons or row.latch):
        return "its row is damaged: state and condition do not fit"
    if (row.state == SUPPRESSED and not row.reasons) or (row.state == SHELVED) != (row.until > 0):
        return "its row is damaged: nothing keeps the alarm away"
    if not 0 <= row.shelved_ms <= LONGEST_S * 1000 or len(row.who) > WHO_CHARS or len(row.comment) > COMMENT_CHARS:
        return "its row is damaged: beyond the limits"
    return ""


def without_values(template: str) -> str:
    """A text with values, for people, while there are none."""
    return _PLACE.sub(lambda found: found[0][0] if len(set(found[0])) == 1 else _ELLIPSIS, template)


def shown_quality(quality: str) -> str:
    """Plain good is not told (protocol.md 1.3)."""
    return "" if quality == _GOOD else quality


def is_good(quality: str) -> bool:
    """Whether a value of this quality is said to be good."""
    return quality.partition("/")[0] == _GOOD
