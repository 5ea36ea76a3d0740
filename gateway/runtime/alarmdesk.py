"""Where people do something to alarms: done at once, told in the audit log with the state before and after, refused
with the code that the alarms give. Local ops and commands by id are served alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from gateway.runtime.ops import OpRefused
from rules.alarms.book import AlarmBook
from rules.alarms.refusal import LONGEST_S, AlarmRefused
from rules.values import Instant

__all__ = ["LONGEST_S", "AlarmDesk", "By", "HasAlarms", "Named", "Orders", "Records"]

T = TypeVar("T")
Act = Callable[[AlarmBook, str, str, str, Instant], None]
"""(book, key, who, comment, now)"""


class Orders(Protocol):
    """The alarms at work (gateway.runtime.ruling.Ruling)."""

    def order(self, what: Callable[[AlarmBook, Instant], T]) -> T:
        """Do something to them now. Raises AlarmRefused, or RuntimeError before the rules have started."""
        ...


class Records(Protocol):
    """The audit log (gateway.audit.Audit)."""

    def record(self, who: str, via: str, what: str, **details: Any) -> None: ...


class HasAlarms(Protocol):
    """What is needed of a node."""

    @property
    def ruling(self) -> Orders: ...

    @property
    def audit(self) -> Records: ...


class By(Struct, frozen=True):
    """Somebody who does something. `rid`: of the command by which he does."""

    who: str
    via: str
    rid: str = ""


class Named(Struct, frozen=True):
    """An alarm as people name it: `id@entity`, or an id, with its entity where several have one of that id."""

    name: str
    entity: str | None = None

    def key(self, book: AlarmBook) -> str:
        """Its key. Raises AlarmRefused."""
        if self.entity is None:
            return book.resolve(self.name)
        if "@" in self.name:
            if self.name.partition("@")[2] != self.entity:
                raise AlarmRefused(f"{self.name} is no alarm of {self.entity}", 400)
            return book.resolve(self.name)
        return book.resolve(f"{self.name}@{self.entity}")


class _Done(Struct, frozen=True):
    """What became of one alarm, at `wall` UTC ms."""

    key: str
    device: str
    before: str
    after: str
    wall: int
    refused: AlarmRefused | None = None


class AlarmDesk:
    """The acts over one running node. Each returns `{"alarms": [{"key", "before", "state"}]}` and raises AlarmRefused,
    or OpRefused 503 while there are no alarms yet.
    """

    def __init__(self, node: HasAlarms) -> None:
        self._node = node

    def ack(self, named: Named, by: By, comment: str) -> dict[str, Any]:
        """Acknowledge an alarm."""
        return _view([self._act("alarm_ack", named, by, comment, AlarmBook.ack)])

    def ack_all(self, entity: str | None, by: By, comment: str) -> dict[str, Any]:
        """Acknowledge everything that waits for it, of one entity or all."""
        done = self._order(lambda book, now: _ack_all(book, now, entity, by.who, comment))
        for one in done:
            self._record("alarm_ack", one, by, comment)
        return _view(done)

    def reset(self, named: Named, by: By, comment: str) -> dict[str, Any]:
        """Release the latch of an alarm that is over."""
        return _view([self._act("alarm_reset", named, by, comment, AlarmBook.reset)])

    def shelve(self, named: Named, seconds: float, by: By, comment: str) -> dict[str, Any]:
        """Put an alarm away for a while; `until` tells its end, UTC ms."""
        ms = round(seconds * 1000)

        def shelve(book: AlarmBook, key: str, who: str, said: str, now: Instant) -> None:
            book.shelve(key, seconds, who, said, now)

        done = self._act("alarm_shelve", named, by, comment, shelve, for_ms=ms)
        return {**_view([done]), "until": done.wall + ms}

    def unshelve(self, named: Named, by: By, comment: str) -> dict[str, Any]:
        """End a shelving before its time."""
        return _view([self._act("alarm_unshelve", named, by, comment, AlarmBook.unshelve)])

    def out_of_service(self, named: Named, by: By, comment: str, *, on: bool) -> dict[str, Any]:
        """Put an alarm away until somebody takes it back (`on` false)."""

        def turn(book: AlarmBook, key: str, who: str, said: str, now: Instant) -> None:
            book.out_of_service(key, on, who, said, now)

        return _view([self._act("alarm_out_of_service", named, by, comment, turn, on=on)])

    def rows(self, entity: str | None, *, every: bool) -> list[dict[str, Any]]:
        """The alarms that are not normal (`every`: all), of one entity or all; fields as in AlarmBook.rows."""
        found = self._order(lambda book, now: book.rows(now, every=every))
        return [row for row in found if entity is None or entity in (row["entity"], row["device"])]

    def _act(self, what: str, named: Named, by: By, comment: str, act: Act, **details: Any) -> _Done:
        done = self._order(lambda book, now: _acted(book, now, named, by.who, comment, act))
        self._record(what, done, by, comment, **details)
        if done.refused is not None:
            raise done.refused
        return done

    def _order(self, what: Callable[[AlarmBook, Instant], T]) -> T:
        try:
            return self._node.ruling.order(what)
        except RuntimeError as error:
            raise OpRefused(str(error), code=503) from error

    def _record(self, what: str, done: _Done, by: By, comment: str, **details: Any) -> None:
        given = {"device": done.device, "comment": comment, "rid": by.rid}
        more: dict[str, Any] = {key: text for key, text in given.items() if text}
        more |= {**details, "old": done.before, "new": done.after, "state": "ok", "code": 200}
        if done.refused is not None:
            more |= {"state": "rejected", "code": done.refused.code, "text": str(done.refused)}
        self._node.audit.record(by.who, by.via, what, alarm=done.key, **more)


def _acted(book: AlarmBook, now: Instant, named: Named, who: str, comment: str, act: Act) -> _Done:
    book.advance(now)
    key = named.key(book)
    device, before = book.spec(key).device, book.state(key)
    try:
        act(book, key, who, comment, now)
    except AlarmRefused as refused:
        return _Done(key, device, before, before, now.wall, refused)
    return _Done(key, device, before, book.state(key), now.wall)


def _ack_all(book: AlarmBook, now: Instant, entity: str | None, who: str, comment: str) -> list[_Done]:
    before = {row["key"]: row for row in book.rows(now)}
    chosen = [key for key, row in before.items() if entity is None or entity in (row["entity"], row["device"])]
    acked = book.ack_all(who, comment, now, chosen)
    return [_Done(key, before[key]["device"], before[key]["state"], book.state(key), now.wall) for key in acked]


def _view(done: list[_Done]) -> dict[str, Any]:
    return {"alarms": [{"key": one.key, "before": one.before, "state": one.after} for one in done]}
