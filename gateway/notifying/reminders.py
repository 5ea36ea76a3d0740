"""Alarms that are told again until somebody acknowledges them: which, when next, how often still. Kept over restarts.

The next time is a wall-clock time on disk and a boot-clock timer in the process, so that a clock that is set neither
silences nor repeats an alarm; after a restart it comes at most one interval later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

from msgspec import Struct
from msgspec.structs import asdict, replace

from gateway.clock import Clock, Timer
from gateway.driver import Memory
from gateway.errors import StoreError
from gateway.notifying.wording import Fields
from gateway.rulebook import Resend

PREFIX = "again/"
_SOON_S = 1.0
"""What came due while the gateway was away is told so soon after the start."""

_log = logging.getLogger("fieldpost.notifying")

Tell = Callable[[str, Fields, tuple[int, int]], None]
"""Tells notification `name` the fields, as telling n of m."""


class Reminder(Struct, frozen=True):
    """One alarm and one notification. `told`: repetitions so far; `due` in UTC ms."""

    name: str
    alarm: str
    fields: Fields
    told: int
    due: int

    @property
    def row(self) -> str:
        return f"{PREFIX}{self.name}/{self.alarm}"


class Reminders:
    """All of them."""

    def __init__(self, memory: Memory, clock: Clock, tell: Tell) -> None:
        self._memory = memory
        self._clock = clock
        self._tell = tell
        self._resend: Mapping[str, Resend] = {}
        self._active: dict[tuple[str, str], Reminder] = {}
        self._timers: dict[tuple[str, str], Timer] = {}

    def begin(self, name: str, alarm: str, fields: Fields) -> None:
        """The alarm has just been told for the first time."""
        resend = self._resend.get(name)
        self.end(alarm, name)
        if resend is not None and resend.times > 0:
            self._wait(Reminder(name, alarm, fields, 0, 0), resend.every_s)

    def end(self, alarm: str, name: str = "") -> None:
        """Nobody needs to be told of the alarm again; only by notification `name` if one is given."""
        for key in [key for key in self._active if key[1] == alarm and name in ("", key[0])]:
            self._drop(key)

    def configure(self, resend: Mapping[str, Resend]) -> None:
        """Notifications that tell again, by name. Reminders of others end."""
        self._resend = resend
        for key in [key for key in self._active if key[0] not in resend]:
            self._drop(key)

    def restore(self) -> None:
        """Go on where the last run ended."""
        for row, kept in self._memory.items().items():
            if not row.startswith(PREFIX):
                continue
            try:
                reminder = Reminder(**kept)
                resend = self._resend[reminder.name]
                left_s = min((reminder.due - self._clock.wall_ms()) / 1000.0, resend.every_s)
            except (TypeError, KeyError):
                self._memory.delete(row)
                continue
            if reminder.told >= resend.times:
                self._memory.delete(row)
            else:
                self._arm(reminder, max(left_s, _SOON_S))

    def only(self, alarms: Collection[str]) -> None:
        """Reminders of alarms that are not among these end."""
        for key in [key for key in self._active if key[1] not in alarms]:
            self._drop(key)

    def _wait(self, reminder: Reminder, seconds: float) -> None:
        reminder = replace(reminder, due=self._clock.wall_ms() + round(seconds * 1000))
        try:
            self._memory.put(reminder.row, asdict(reminder))
        except StoreError as error:
            _log.warning("%s is not told again after a restart: %s", reminder.alarm, error)
        self._arm(reminder, seconds)

    def _arm(self, reminder: Reminder, seconds: float) -> None:
        key = (reminder.name, reminder.alarm)
        self._active[key] = reminder
        self._timers[key] = self._clock.call_later(seconds, lambda: self._due(key))

    def _due(self, key: tuple[str, str]) -> None:
        reminder, resend = self._active[key], self._resend[key[0]]
        told = reminder.told + 1
        if told < resend.times:
            self._wait(replace(reminder, told=told), resend.every_s)
        else:
            self._drop(key)
        self._tell(reminder.name, reminder.fields, (told, resend.times))

    def _drop(self, key: tuple[str, str]) -> None:
        self._timers.pop(key).cancel()
        self._memory.delete(self._active.pop(key).row)
