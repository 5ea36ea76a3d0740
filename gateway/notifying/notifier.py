"""Tells people: takes alarms and messages, hands each to the notifications that want it, and tells again who must know.

Nothing here waits in a caller's way. What was taken is kept until it is delivered, over restarts too; a message that
was on its way when the process ended may come twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence

from gateway.clock import Clock
from gateway.driver import Memory
from gateway.health import Health
from gateway.notifying.choosing import ACTIVE, goes_on, is_pressing, is_told, told_as
from gateway.notifying.limiting import ISSUE as LIMITED
from gateway.notifying.mailbox import Mailbox
from gateway.notifying.ports import News, Publishes
from gateway.notifying.reminders import PREFIX, Reminders
from gateway.notifying.sending import Sender
from gateway.notifying.wording import Fields, fields_of, said
from gateway.rulebook import NotifySpec

_log = logging.getLogger("fieldpost.notifying")


class Notifier:
    """All notifications of one gateway. `reload` gives them, at the start too; run `run` as a unit."""

    def __init__(self, door: Publishes, memory: Memory, *, clock: Clock, health: Health, gateway: str = "") -> None:
        """`gateway`: its id, for people who have several."""
        self._memory = memory
        self._clock = clock
        self._health = health
        self._gateway = gateway
        self._sender = Sender(door)
        self._boxes: dict[str, Mailbox] = {}
        self._reminders = Reminders(memory, clock, self._again)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._restored = False

    def reload(self, specs: Iterable[NotifySpec]) -> None:
        """These are the notifications now. What waits for one that stays, waits on; the first call takes up what was
        not delivered before the start.
        """
        wanted = {spec.name: spec for spec in specs}
        for name in [name for name in self._boxes if name not in wanted]:
            self._remove(name)
        for name, spec in wanted.items():
            if name in self._boxes:
                self._boxes[name].spec = spec
            else:
                self._boxes[name] = Mailbox(spec, self._sender.deliver, self._memory, self._clock, self._health)
                if not self._restored:
                    self._boxes[name].restore()
                self._start(name)
        self._reminders.configure({name: spec.resend for name, spec in wanted.items() if spec.resend is not None})
        if not self._restored:
            self._restored = True
            self._forget_strangers()
            self._reminders.restore()

    def standing(self, alarms: Collection[str]) -> None:
        """After a start: keys of the alarms that are active and not acknowledged. Others are not told again."""
        self._reminders.only(alarms)

    def take(self, news: News) -> None:
        """An alarm changed its state. Returns at once and never raises."""
        try:
            self._take(news)
        except Exception:
            _log.exception("people were not told of an alarm")

    def send(self, to: Sequence[str], text: str, who: str) -> list[str]:
        """Give a message of `who` to notifications; which of them do not take it, and why not."""
        fields = said(text, who, self._gateway, self._clock.wall_ms())
        refused = [(name, self._boxes[name].put(fields) if name in self._boxes else "there is none") for name in to]
        return [f"{name}: {why}" for name, why in refused if why]

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for name in self._boxes:
                    self._start(name)
                await asyncio.Event().wait()
            finally:
                self._group = None
                self._tasks.clear()

    def waiting(self) -> dict[str, int]:
        """Messages that are not delivered yet, by notification."""
        return {name: box.waiting for name, box in self._boxes.items()}

    def _take(self, news: News) -> None:
        key = news.spec.key
        if not goes_on(news):
            self._reminders.end(key)
        what = told_as(news)
        if not what:
            return
        fields = fields_of(news, self._gateway)
        for name, box in self._boxes.items():
            if is_told(box.spec, news, what) and not _is_its_own(news, name):
                box.put(fields, pressing=what == ACTIVE and is_pressing(fields))
                if what == ACTIVE:
                    self._reminders.begin(name, key, fields)

    def _again(self, name: str, fields: Fields, repetition: tuple[int, int]) -> None:
        box = self._boxes.get(name)
        if box is not None:
            box.put(fields, repetition, pressing=is_pressing(fields))

    def _start(self, name: str) -> None:
        if self._group is not None:
            self._tasks[name] = self._group.create_task(self._boxes[name].run(), name=f"notify:{name}")

    def _remove(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        self._boxes.pop(name).forget()

    def _forget_strangers(self) -> None:
        """Rows of notifications that are not configured any more."""
        for row in self._memory.items():
            if not (row.startswith(PREFIX) or Mailbox.is_row(row, self._boxes)):
                self._memory.delete(row)


def _is_its_own(news: News, name: str) -> bool:
    """That messages are held back is not told by the notification that holds them back: it would take their room."""
    return news.spec.issue == LIMITED and news.spec.entity == name
