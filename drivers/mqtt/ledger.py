"""Inbound messages between their arrival and their acknowledgement: in order, after what they brought is on disk.

MQTT 5.0 section 4.6: acknowledgements go out in the order of the messages. One ledger is of one connection: nothing is
ever acknowledged on another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gateway.mqttclient.connection import Inbound

_SAME = 3
"""Commits in a row with one number of waiting messages: the broker's own limit shows."""
_LEAST_LIMIT = 8


class Entry:
    """One message. `done` is called once what it brought is on disk, or at once when it brought nothing."""

    __slots__ = ("_ledger", "finished", "message")

    def __init__(self, message: Inbound, ledger: Ledger) -> None:
        self.message = message
        self._ledger = ledger
        self.finished = False

    def done(self) -> None:
        self.finished = True
        self._ledger.settle()


class Ledger:
    """The messages of one connection that are not acknowledged. `hurry` asks for a commit.

    A broker sends no more than the Receive Maximum before it has acknowledgements; with MQTT 3.1.1, and by its own
    settings, fewer. That limit is learned: when the same number of messages waits at one commit after another, the
    broker waits too, and from then on the commit is asked for when that many are here.
    """

    def __init__(self, confirm: Callable[[Inbound], None], hurry: Callable[[], None], maximum: int) -> None:
        self._confirm = confirm
        self._hurry = hurry
        self._waiting: deque[Entry] = deque()
        self._unwritten = 0
        self._half = max(1, maximum // 2)
        self._limit = 0
        self._peak = 0
        self._same = 0
        self._asked = False
        self.acknowledged = 0

    @property
    def waiting(self) -> int:
        """QoS 1 messages that are not acknowledged."""
        return len(self._waiting)

    @property
    def total(self) -> int:
        """QoS 1 messages that came so far."""
        return self.acknowledged + len(self._waiting)

    @property
    def limit(self) -> int:
        """The broker's own limit as learned, 0 while none shows."""
        return self._limit

    @property
    def unwritten(self) -> int:
        """QoS 0 messages whose readings are not on disk."""
        return self._unwritten

    def arrived(self, message: Inbound) -> Callable[[], None]:
        """Take a message; call the result when it is done with."""
        if message.qos == 0:
            self._unwritten += 1
            return self._written
        entry = Entry(message, self)
        self._waiting.append(entry)
        count = len(self._waiting)
        if self._limit and count > self._limit:
            self._limit = 0
        if not self._asked and count >= (self._limit or self._half):
            self._asked = True
            self._hurry()
        return entry.done

    def _written(self) -> None:
        self._unwritten -= 1

    def settle(self) -> None:
        """Acknowledge what is done, up to the first that is not."""
        waiting = self._waiting
        if not waiting or not waiting[0].finished:
            return
        self._learn(len(waiting))
        while waiting and waiting[0].finished:
            self._confirm(waiting.popleft().message)
            self.acknowledged += 1
        self._asked = False

    def _learn(self, count: int) -> None:
        if count == 1:  # done at once, or one at a time: says nothing of a limit
            return
        if self._limit or count < _LEAST_LIMIT:
            return
        self._same = self._same + 1 if count == self._peak else 1
        self._peak = count
        if self._same >= _SAME:
            self._limit, self._same = count, 0
