"""Which alarms are told to whom, and which go on being told. Pure."""

from __future__ import annotations

from gateway.notifying.ports import News
from gateway.notifying.wording import Fields
from gateway.rulebook import PRIORITIES, NotifySpec

ACTIVE, CLEAR, ACK, SHELVED = "active", "clear", "ack", "shelved"
"""What `on` of a notification may name."""
_UNACKED = "unack_active"
_NOT_ANNUNCIATED = frozenset(("shelved", "suppressed", "out_of_service"))
_AGAIN = frozenset(("unshelve", "unsuppress", "in_service"))
_TOLD_AS = {"active": ACTIVE, "clear": CLEAR, "ack": ACK, "shelve": SHELVED}


def told_as(news: News) -> str:
    """What a transition is for people who are told; empty when it is nothing to them. An alarm that was taken out of
    sight and is active and not acknowledged when it comes back is active anew.
    """
    if news.event in _AGAIN:
        return ACTIVE if news.state == _UNACKED else ""
    what = _TOLD_AS.get(news.event, "")
    return "" if what != SHELVED and news.state in _NOT_ANNUNCIATED else what


def is_told(spec: NotifySpec, news: News, what: str) -> bool:
    """Whether this notification tells of it."""
    if what not in spec.on or not (spec.every_alarm or spec.name in news.spec.notify):
        return False
    return _rank(news.spec.priority) >= _rank(spec.priority)


def is_pressing(fields: Fields) -> bool:
    """Whether an alarm that is active is told whatever the notification's limit says."""
    return bool(fields["priority"] == PRIORITIES[-1])


def goes_on(news: News) -> bool:
    """Whether the alarm still waits for somebody to acknowledge it."""
    return news.state == _UNACKED


def _rank(priority: str) -> int:
    return PRIORITIES.index(priority) if priority in PRIORITIES else len(PRIORITIES)
