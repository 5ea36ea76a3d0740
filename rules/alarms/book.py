"""All alarms at work: what happens to each of them, told to one callback together with the row to keep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from gateway.model import Value
from gateway.rulebook import AlarmSpec
from rules.alarms import machine, views
from rules.alarms.alarm import Alarm, is_good, shown_quality
from rules.alarms.firstout import FirstOut
from rules.alarms.flood import Figures
from rules.alarms.machine import ANNOUNCED, AWAY, NORMAL, OUT_OF_SERVICE, SHELVED, UNACK_ACTIVE, UNACKED, Step
from rules.alarms.refusal import AlarmRefused, check_said, shelving_ms
from rules.values import Input, Instant, Transition

DESIGN = "design"
"""The reason for suppressing while an alarm's own `suppress` is true."""
MAINTENANCE = "maintenance"

_NAMED = frozenset((machine.ACK_ACTIVE, machine.ACK_LATCHED, SHELVED, OUT_OF_SERVICE))
_COMES_AND_GOES = frozenset(("active", "clear"))
"""What chattering is counted by: not what people do about it."""

Emit = Callable[[Transition, dict[str, Any] | None], None]
Keep = Callable[[str, dict[str, Any]], None]


def _keep_nothing(_key: str, _row: dict[str, Any]) -> None:
    """For whoever needs no restarts."""


class AlarmBook:
    """The alarms, by key `id@entity`. Times given must not go back on the boot clock.

    `emit(transition, row)` is told each transition, with the alarm's row (None: it is normal, nothing to keep).
    `keep(key, row)` gets the row when only what is underneath has changed. Neither may call back into the book.
    Everything that takes a key raises AlarmRefused: 404 for one that is not there, 409 where the table says so.
    """

    def __init__(self, specs: Iterable[AlarmSpec], emit: Emit, keep: Keep = _keep_nothing) -> None:
        self._emit = emit
        self._keep = keep
        self._alarms: dict[str, Alarm] = {}
        self._first_out = FirstOut()
        self._figures = Figures()
        self._shelved: set[str] = set()
        self._due: int | None = None
        for spec in specs:
            self.add(spec)

    def __contains__(self, key: str) -> bool:
        return key in self._alarms

    def __len__(self) -> int:
        return len(self._alarms)

    @property
    def due(self) -> int | None:
        """When the next shelving ends, ms on the boot clock."""
        return self._due

    def state(self, key: str) -> str:
        """One of machine.STATES."""
        return self._get(key).state

    def spec(self, key: str) -> AlarmSpec:
        """What is configured for an alarm."""
        return self._get(key).spec

    @property
    def specs(self) -> list[AlarmSpec]:
        """What is configured, for all alarms."""
        return [alarm.spec for alarm in self._alarms.values()]

    def add(self, spec: AlarmSpec) -> None:
        """One more alarm, normal; one that is there already takes the new spec."""
        alarm = self._alarms.get(spec.key)
        if alarm is None:
            self._alarms[spec.key] = Alarm(spec=spec)
        else:
            self._respecify(alarm, spec)

    def resolve(self, name: str) -> str:
        """The key that a person means by `name`: a key, or an id that only one entity has. Raises AlarmRefused."""
        if name in self._alarms:
            return name
        found = sorted(key for key, alarm in self._alarms.items() if alarm.spec.id == name)
        if len(found) > 1:
            raise AlarmRefused(f"{name} is the name of several alarms: {', '.join(found[:5])}", 400)
        return self._get(found[0] if found else name).key

    # -- what conditions do

    def condition(
        self,
        key: str,
        active: bool,
        now: Instant,
        *,
        t_cond: int = 0,
        t_active: int = 0,
        value: Value = None,
        quality: str = "",
        text: str = "",
        inputs: tuple[Input, ...] = (),
    ) -> None:
        """The condition has become active, or is over; saying it again does nothing. `t_cond`, `t_active` in UTC ms
        (0: now). `text`: the alarm's text with its values filled in. `quality`: of the input at this moment.
        """
        self.advance(now)
        alarm = self._get(key)
        if active == alarm.condition:
            return
        if active:
            alarm.began(now, t_cond, t_active, value, text, inputs)
        else:
            alarm.condition = False
            alarm.value = value
            if is_good(quality):  # the value that ended it can be trusted, whatever was before
                alarm.quality = ""
        self._enter(alarm, "active" if active else "clear", now, quality=shown_quality(quality))

    def input_quality(self, key: str, good: bool, now: Instant, quality: str = "bad") -> None:
        """The input of an alarm is no longer good, or is good again. Matters only while the condition is active: the
        alarm stays active and is marked; told once, however the reason changes.
        """
        self.advance(now)
        alarm = self._get(key)
        if not alarm.condition or good == (not alarm.quality):
            return
        alarm.quality = "" if good else quality
        self._enter(alarm, "good" if good else "bad", now)

    def suppress(self, key: str, on: bool, reason: str, now: Instant) -> None:
        """A reason to suppress begins or ends (DESIGN, MAINTENANCE...). Several add up, it is over with the last one;
        saying it again does nothing.
        """
        self.advance(now)
        alarm = self._get(key)
        if on == (reason in alarm.reasons):
            return
        if on:
            alarm.reasons = (*alarm.reasons, reason)
        else:
            alarm.reasons = tuple(other for other in alarm.reasons if other != reason)
            if alarm.reasons:
                self._keep_row(alarm)
                return
        self._enter(alarm, "suppress" if on else "unsuppress", now, comment=reason)

    # -- what people do

    def ack(self, key: str, who: str, comment: str, now: Instant) -> None:
        """Somebody has seen the alarm; also one that is over already. Raises AlarmRefused."""
        self._act(key, "ack", who, comment, now)

    def ack_all(self, who: str, comment: str, now: Instant, keys: Collection[str] | None = None) -> list[str]:
        """Acknowledge every alarm (of `keys`) that waits for it; which these were. Raises AlarmRefused."""
        check_said(who, comment)
        self.advance(now)
        chosen = sorted(self._alarms if keys is None else keys)
        waiting = [key for key in chosen if self._get(key).state in UNACKED]
        for key in waiting:
            self.ack(key, who, comment, now)
        return waiting

    def reset(self, key: str, who: str, comment: str, now: Instant) -> None:
        """Release the latch of an alarm that is over and acknowledged. Raises AlarmRefused."""
        self._act(key, "reset", who, comment, now)

    def shelve(self, key: str, seconds: float, who: str, comment: str, now: Instant) -> None:
        """Put an alarm away for a while, at most 7 days; one that is shelved gets another end. Raises AlarmRefused."""
        ms = shelving_ms(seconds)
        self._act(key, "shelve", who, comment, now, ms)

    def unshelve(self, key: str, who: str, comment: str, now: Instant) -> None:
        """End a shelving before its time. Raises AlarmRefused."""
        self._act(key, "unshelve", who, comment, now)

    def out_of_service(self, key: str, on: bool, who: str, comment: str, now: Instant) -> None:
        """Put an alarm away until somebody takes it back; that ends a shelving. Raises AlarmRefused."""
        self._act(key, "out_of_service" if on else "in_service", who, comment, now)

    # -- time, restarts, reload

    def advance(self, now: Instant) -> None:
        """Time has passed. A shelving ends at its own time, not when somebody looks; its transition names nobody."""
        while self._due is not None and self._due <= now.at:
            end, key = min((self._alarms[key].until_at, key) for key in self._shelved)
            alarm = self._alarms[key]
            self._enter(alarm, "unshelve", Instant(end, alarm.end_on_the_wall(now, end)))
        self._figures.move(now)

    def restore(self, key: str, row: Any, now: Instant, shift: int) -> str:
        """Take up an alarm after a restart. Nothing is told, but an end of what no longer is configured. `shift` is
        added to times on the boot clock. Returns why the row is of no use (forget it then); empty when all is well.
        Reasons for suppressing are taken up, too: whoever gives them says afterwards which still hold.
        """
        alarm = self._alarms.get(key)
        if alarm is None:
            return "there is no such alarm any more"
        refused = alarm.restore(row, now, shift)
        if refused:
            return refused
        if alarm.state in ANNOUNCED:
            self._first_out.comes(alarm.spec.group, key)
        self._plan(alarm)
        if shift:  # the row's times are of another boot: the next restart must not take them for its own
            self._keep_row(alarm)
        self._drop_design(alarm, now)
        return ""

    def reload(self, specs: Iterable[AlarmSpec], now: Instant) -> None:
        """Other specs. An alarm whose key stays keeps its state; one that is gone is closed."""
        self.advance(now)
        wanted = {spec.key: spec for spec in specs}
        for key in sorted(self._alarms.keys() - wanted.keys()):
            self._close(self._alarms[key], now)
        for spec in wanted.values():
            self.add(spec)
            self._drop_design(self._alarms[spec.key], now)

    # -- for people

    def rows(self, now: Instant, *, every: bool = False) -> list[dict[str, Any]]:
        """The alarms that are not normal (`every`: all) for people: what waits for an ack first, then by priority, then
        the newest.
        """
        self.advance(now)
        return views.rows([one for one in self._alarms.values() if every or one.state != NORMAL], now)

    def stats(self, now: Instant) -> dict[str, Any]:
        """The figures of rules/alarms/flood.py, and how many alarms are in which state."""
        self.advance(now)
        return {**self._figures.view(now), **views.standing(self._alarms.values(), now)}

    # -- inside

    def _get(self, key: str) -> Alarm:
        alarm = self._alarms.get(key)
        if alarm is None:
            raise AlarmRefused(f"there is no alarm {key}", 404)
        return alarm

    def _step(self, alarm: Alarm, event: str) -> Step:
        return machine.step(alarm.state, event, latched=alarm.spec.latched, beneath=alarm.beneath)

    def _act(self, key: str, event: str, who: str, comment: str, now: Instant, shelved_ms: int = 0) -> None:
        check_said(who, comment)
        self.advance(now)
        alarm = self._get(key)
        refused = self._step(alarm, event).refused
        if refused:
            raise AlarmRefused(f"{key}: {refused}", 409)
        if shelved_ms:
            alarm.shelved_ms, alarm.until, alarm.until_at = shelved_ms, now.wall + shelved_ms, now.at + shelved_ms
        self._enter(alarm, event, now, who=who, comment=comment)

    def _enter(
        self, alarm: Alarm, event: str, now: Instant, *, who: str = "", comment: str = "", quality: str = ""
    ) -> None:
        """Do what the table says, once what is underneath is up to date."""
        step = self._step(alarm, event)
        old, alarm.state = alarm.state, step.state
        self._put_away(alarm, old)
        if step.told:
            self._name(alarm, who, comment)
            self._tell(alarm, event, old, now, who, comment, quality)
        else:
            self._settle(alarm)
            self._keep_row(alarm)

    def _put_away(self, alarm: Alarm, old: str) -> None:
        """What goes with entering or leaving the states in which an alarm is away."""
        if alarm.state not in AWAY:
            alarm.latch = False
        elif old not in AWAY:
            alarm.latch = machine.keeps_latch(old, latched=alarm.spec.latched)
        if alarm.state != SHELVED:
            alarm.until = alarm.until_at = alarm.shelved_ms = 0
        self._plan(alarm)

    def _plan(self, alarm: Alarm) -> None:
        if alarm.state == SHELVED:
            self._shelved.add(alarm.key)
        elif alarm.key in self._shelved:
            self._shelved.discard(alarm.key)
        else:
            return
        self._due = min((self._alarms[key].until_at for key in self._shelved), default=None)

    @staticmethod
    def _name(alarm: Alarm, who: str, comment: str) -> None:
        """Who acknowledged an alarm or put it away is remembered as long as that is so."""
        if alarm.state not in _NAMED:
            alarm.who = alarm.comment = ""
        elif who:
            alarm.who, alarm.comment = who, comment

    def _tell(self, alarm: Alarm, event: str, old: str, now: Instant, who: str, comment: str, quality: str) -> None:
        announced = alarm.state == UNACK_ACTIVE != old
        first = self._mark_first_out(alarm, announced=announced)
        alarm.n += 1
        alarm.since = now.wall
        if announced:
            self._figures.announced(alarm.key, now)
        transition = Transition(
            alarm.spec,
            event,
            old,
            alarm.state,
            now,
            alarm.t_cond,
            alarm.t_active,
            alarm.value,
            alarm.quality or quality,
            alarm.shown_text,
            who,
            comment,
            alarm.until,
            first,
            alarm.n,
            alarm.chatter.transition(now.at) if event in _COMES_AND_GOES else alarm.chatter.is_on(now.at),
            alarm.inputs if announced else (),
        )
        self._settle(alarm)
        self._emit(transition, alarm.row())

    @staticmethod
    def _settle(alarm: Alarm) -> None:
        """Forget what no longer matters once it was told."""
        if not alarm.condition:
            alarm.quality = ""
            if not alarm.latch and alarm.state not in ANNOUNCED:
                alarm.forget()

    def _mark_first_out(self, alarm: Alarm, *, announced: bool) -> bool:
        """Keep its group's books. True for the announcement that is the first of the group."""
        if alarm.state not in ANNOUNCED:
            self._first_out.goes(alarm.spec.group, alarm.key)
            alarm.first_out = False
            return False
        first = announced and self._first_out.comes(alarm.spec.group, alarm.key)
        alarm.first_out = alarm.first_out or first
        return first

    def _keep_row(self, alarm: Alarm) -> None:
        row = alarm.row()
        if row is not None:
            self._keep(alarm.key, row)

    def _respecify(self, alarm: Alarm, spec: AlarmSpec) -> None:
        if spec.group != alarm.spec.group:
            self._first_out.goes(alarm.spec.group, alarm.key)
            alarm.first_out = False
            if alarm.state in ANNOUNCED:
                self._first_out.comes(spec.group, alarm.key)
        alarm.spec = spec

    def _drop_design(self, alarm: Alarm, now: Instant) -> None:
        """An alarm that is no longer suppressed by design in the configuration would stay so for ever."""
        if not alarm.spec.suppress and DESIGN in alarm.reasons:
            self.suppress(alarm.key, False, DESIGN, now)

    def _close(self, alarm: Alarm, now: Instant) -> None:
        old, alarm.state = alarm.state, NORMAL
        alarm.condition, alarm.reasons = False, ()
        self._put_away(alarm, old)
        if old != NORMAL:
            self._tell(alarm, "clear", old, now, "", "no longer configured", "")
        del self._alarms[alarm.key]
