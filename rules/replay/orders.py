"""What people did to alarms, as far as the journal tells: a replay does it again."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rules.alarms.book import AlarmBook
from rules.values import Instant

BY_PEOPLE = ("ack", "reset", "shelve", "unshelve", "out_of_service", "in_service")


class Order(Struct, frozen=True):
    """One order. `ts`: UTC ms; `key`: `id@entity` of the alarm; `seconds`: how long it is shelved."""

    ts: int
    what: str
    key: str
    who: str
    comment: str = ""
    seconds: float = 0.0

    def give(self, book: AlarmBook, now: Instant) -> None:
        """Do it. Raises AlarmRefused."""
        match self.what:
            case "ack":
                book.ack(self.key, self.who, self.comment, now)
            case "reset":
                book.reset(self.key, self.who, self.comment, now)
            case "shelve":
                book.shelve(self.key, self.seconds, self.who, self.comment, now)
            case "unshelve":
                book.unshelve(self.key, self.who, self.comment, now)
            case _:
                book.out_of_service(self.key, self.what == "out_of_service", self.who, self.comment, now)


def order_from(row: dict[str, Any]) -> Order | None:
    """The order that an entry of stream `alarm` tells of; None where nobody gave one."""
    what, who = row.get("event"), row.get("who")
    if row.get("kind") != "alarm" or what not in BY_PEOPLE or not who:
        return None
    ts, until = int(row["ts"]), row.get("until")
    seconds = max(0.001, (int(until) - ts) / 1000) if until else 0.0
    return Order(ts, what, alarm_key(row), str(who), str(row.get("comment", "")), seconds)


def alarm_key(row: dict[str, Any]) -> str:
    """`id@entity` of an entry or a line about an alarm."""
    return f"{row.get('id')}@{row.get('entity') or row.get('device', '')}"
