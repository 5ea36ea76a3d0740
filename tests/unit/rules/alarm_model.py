"""What an alarm is, said in flags instead of states: the simple oracle for a book, and the machine that compares them."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import Struct, field

from rules.alarms.machine import STATES
from rules.alarms.refusal import AlarmRefused
from tests.unit.rules.alarm_kit import Desk, spec

LONGEST_MS = 100_000


class Flags(Struct):
    """`raised`: people are to look at it. `held`: it is over, but needs its reset. `shelf`: ms left."""

    latched: bool
    condition: bool = False
    raised: bool = False
    acked: bool = False
    held: bool = False
    shelf: int | None = None
    reasons: set[str] = field(default_factory=set)
    out: bool = False
    bad: bool = False

    @property
    def away(self) -> bool:
        return self.out or self.shelf is not None or bool(self.reasons)

    @property
    def state(self) -> str:
        if self.away:
            return "out_of_service" if self.out else "shelved" if self.shelf is not None else "suppressed"
        if not self.raised:
            return "normal"
        word = "active" if self.condition else "latched" if self.held else "rtn"
        return f"{'ack' if self.acked else 'unack'}_{word}"

    def happen(self, change: Callable[[], None]) -> None:
        """Let something change, and draw the conclusions of having been put away or taken back."""
        was_away = self.away
        needs_reset = self.raised and (self.held or (self.latched and self.condition))
        change()
        if self.away and not was_away:
            self.raised = self.acked = False
            self.held = needs_reset
        elif was_away and not self.away:
            self.raised, self.acked = self.condition or self.held, False
            self.held = self.held and not self.condition

    def set_condition(self, active: bool) -> None:
        if active == self.condition:
            return
        self.condition, self.bad = active, False
        if self.away:
            return
        if active:
            self.raised, self.acked, self.held = True, False, False
        elif self.latched:
            self.held = True
        else:
            self.raised = not self.acked

    def may(self, act: str) -> bool:
        there = self.raised and not self.away
        return {
            "ack": there and not self.acked,
            "reset": there and self.held and self.acked,
            "shelve": not self.out,
            "unshelve": self.shelf is not None and not self.out,
            "out_of_service": not self.out,
            "in_service": self.out,
        }[act]

    def act(self, act: str, seconds: int) -> None:
        if act == "ack":
            self.acked = True
            self.raised = self.condition or self.held
        elif act == "reset":
            self.raised = self.acked = self.held = False
        elif act == "shelve":
            self.happen(lambda: setattr(self, "shelf", seconds * 1000))
        elif act == "unshelve":
            self.happen(lambda: setattr(self, "shelf", None))
        else:
            self.happen(lambda: self._serve(act == "out_of_service"))

    def _serve(self, out: bool) -> None:
        self.out, self.shelf = out, None


KEYS = ("plain@pump", "latched@pump")
ACTS = ("ack", "reset", "shelve", "unshelve", "out_of_service", "in_service")
_KEY = st.sampled_from(KEYS)


class Comparison(RuleBasedStateMachine):
    """A book beside the flags of its alarms; after every step both must say the same, and the journal must lead there."""

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(spec("plain", suppress="x"), spec("latched", latched=True, suppress="x"))
        self.flags = {"plain@pump": Flags(False), "latched@pump": Flags(True)}
        self.seen = dict.fromkeys(KEYS, "normal")
        self.read = 0

    @rule(key=_KEY, active=st.booleans())
    def condition(self, key: str, active: bool) -> None:
        self.desk.book.condition(key, active, self.desk.now)
        self.flags[key].set_condition(active)

    @rule(key=_KEY, act=st.sampled_from(ACTS), seconds=st.integers(1, LONGEST_MS // 1000))
    def act(self, key: str, act: str, seconds: int) -> None:
        way = (lambda: self.desk.shelve(seconds, key)) if act == "shelve" else (lambda: getattr(self.desk, act)(key))
        flags = self.flags[key]
        try:
            way()
        except AlarmRefused as error:
            assert error.code == 409
            assert not flags.may(act), f"{key} {act} was refused"
        else:
            assert flags.may(act), f"{key} {act} was not refused"
            flags.act(act, seconds)

    @rule(key=_KEY, reason=st.sampled_from(["design", "maintenance"]), on=st.booleans())
    def suppress(self, key: str, reason: str, on: bool) -> None:
        self.desk.book.suppress(key, on, reason, self.desk.now)
        flags = self.flags[key]
        flags.happen(lambda: flags.reasons.add(reason) if on else flags.reasons.discard(reason))

    @rule(key=_KEY, good=st.booleans())
    def quality(self, key: str, good: bool) -> None:
        self.desk.book.input_quality(key, good, self.desk.now, "bad/comm")
        flags = self.flags[key]
        flags.bad = flags.condition and not good

    @rule(ms=st.integers(1, LONGEST_MS))
    def time(self, ms: int) -> None:
        self.desk.pass_ms(ms)
        self._passed(ms)

    @rule(down_ms=st.integers(0, LONGEST_MS), boot_at=st.none() | st.integers(0, 10**6))
    def restart(self, down_ms: int, boot_at: int | None) -> None:
        assert self.desk.restart(down_ms, boot_at=boot_at) == []
        self._passed(down_ms)

    @rule()
    def reload(self) -> None:
        self.desk.book.reload(self.desk.specs, self.desk.now)

    def _passed(self, ms: int) -> None:
        for flags in self.flags.values():
            if flags.shelf is not None:
                flags.shelf -= ms
                if flags.shelf <= 0:
                    flags.happen(lambda flags=flags: setattr(flags, "shelf", None))

    @invariant()
    def both_say_the_same(self) -> None:
        desk = self.desk
        rows = {row["key"]: row for row in desk.book.rows(desk.now, every=True)}
        for key, flags in self.flags.items():
            row = rows[key]
            assert row["state"] == flags.state, f"{key} is {row['state']}, should be {flags.state}"
            assert row["condition"] == flags.condition
            assert bool(row["quality"]) == flags.bad
            assert row["left"] == (flags.shelf or 0)
            assert sorted(row["reasons"]) == sorted(flags.reasons)
            assert (row["t_active"] > 0) >= flags.condition
            assert (key in desk.kept) == (flags.state != "normal")

    @invariant()
    def the_journal_leads_there(self) -> None:
        """Each transition begins where the one before it ended, and the last ends where the alarm is."""
        for one in self.desk.told[self.read :]:
            assert one.state in STATES
            assert one.old == self.seen[one.spec.key], "the journal has a hole"
            assert one.old != one.state or one.event in {"bad", "good", "shelve"}, "told without a change"
            assert one.t_active or not one.state.endswith(("_active", "_latched", "_rtn"))
            self.seen[one.spec.key] = one.state
        self.read = len(self.desk.told)
        assert self.seen == {key: self.desk.state(key) for key in KEYS}
