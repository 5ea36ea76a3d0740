"""A book of alarms with somebody who writes down what it tells, a clock that is moved by hand, and restarts."""

from __future__ import annotations

from typing import Any

import msgpack

from gateway.rulebook import AlarmSpec
from rules.alarms.book import AlarmBook
from rules.values import Instant, Transition

WALL = 1_795_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR


def spec(id_: str = "press_hi", entity: str = "pump", **more: Any) -> AlarmSpec:
    given = {"device": entity, "tag": "pressure", "priority": "high", "text": "Pressure above 9.5 bar", **more}
    return AlarmSpec(id_, entity, **given)


KEY = spec().key


class Desk:
    """`at` and `wall` are its clocks; `told` the transitions, `kept` the rows as a store would give them back."""

    def __init__(self, *specs: AlarmSpec) -> None:
        self.specs = specs or (spec(),)
        self.at = 1_000_000
        self.wall = WALL
        self.told: list[Transition] = []
        self.kept: dict[str, bytes] = {}
        self.book = AlarmBook(self.specs, self._emit, self._keep)

    @property
    def now(self) -> Instant:
        return Instant(self.at, self.wall)

    @property
    def last(self) -> Transition:
        return self.told[-1]

    @property
    def events(self) -> list[tuple[str, str, str]]:
        return [(one.event, one.old, one.state) for one in self.told]

    def pass_ms(self, ms: int) -> None:
        self.at += ms
        self.wall += ms
        self.book.advance(self.now)

    def step_clock(self, ms: int) -> None:
        """Somebody sets the wall clock."""
        self.wall += ms

    def state(self, key: str = KEY) -> str:
        return self.book.state(key)

    def active(self, key: str = KEY, **more: Any) -> None:
        self.book.condition(key, True, self.now, **more)

    def clear(self, key: str = KEY, **more: Any) -> None:
        self.book.condition(key, False, self.now, **more)

    def ack(self, key: str = KEY, who: str = "anna", comment: str = "") -> None:
        self.book.ack(key, who, comment, self.now)

    def reset(self, key: str = KEY) -> None:
        self.book.reset(key, "anna", "", self.now)

    def shelve(self, seconds: float = 3600, key: str = KEY) -> None:
        self.book.shelve(key, seconds, "anna", "sensor is being changed", self.now)

    def unshelve(self, key: str = KEY) -> None:
        self.book.unshelve(key, "anna", "", self.now)

    def suppress(self, reason: str = "maintenance", key: str = KEY) -> None:
        self.book.suppress(key, True, reason, self.now)

    def unsuppress(self, reason: str = "maintenance", key: str = KEY) -> None:
        self.book.suppress(key, False, reason, self.now)

    def out_of_service(self, key: str = KEY) -> None:
        self.book.out_of_service(key, True, "anna", "scrapped", self.now)

    def in_service(self, key: str = KEY) -> None:
        self.book.out_of_service(key, False, "anna", "", self.now)

    def bad(self, key: str = KEY) -> None:
        self.book.input_quality(key, False, self.now, "bad/comm")

    def good(self, key: str = KEY) -> None:
        self.book.input_quality(key, True, self.now)

    def restart(self, down_ms: int = 0, *, boot_at: int | None = None) -> list[str]:
        """The process ends and another takes up its rows: after a reboot when `boot_at` is given. What was refused."""
        self.at += down_ms
        self.wall += down_ms
        shift = 0 if boot_at is None else boot_at - self.at
        self.at += shift
        self.book = AlarmBook(self.specs, self._emit, self._keep)
        rows = {key: msgpack.unpackb(packed) for key, packed in self.kept.items()}
        refused = [self.book.restore(key, row, self.now, shift) for key, row in rows.items()]
        self.book.advance(self.now)
        return [text for text in refused if text]

    def _emit(self, transition: Transition, row: dict[str, Any] | None) -> None:
        self.told.append(transition)
        if row is None:
            self.kept.pop(transition.spec.key, None)
        else:
            self._keep(transition.spec.key, row)

    def _keep(self, key: str, row: dict[str, Any]) -> None:
        self.kept[key] = msgpack.packb(row)


def in_state(state: str, *, latched: bool = False) -> Desk:
    """A desk with its alarm brought to `state` as people and conditions bring it there. Away: from normal."""
    desk = Desk(spec(latched=latched or "latched" in state))
    ways = {
        "normal": (),
        "unack_active": (desk.active,),
        "ack_active": (desk.active, desk.ack),
        "unack_rtn": (desk.active, desk.clear),
        "unack_latched": (desk.active, desk.clear),
        "ack_latched": (desk.active, desk.ack, desk.clear),
        "shelved": (desk.shelve,),
        "suppressed": (desk.suppress,),
        "out_of_service": (desk.out_of_service,),
    }
    if state == "unack_rtn" and latched:  # one that was over before it was configured to latch
        desk = in_state(state)
    else:
        for way in ways[state]:
            way()
    if desk.specs[0].latched != latched:
        desk.specs = (spec(latched=latched),)
        desk.book.reload(desk.specs, desk.now)
    assert desk.state() == state
    return desk
