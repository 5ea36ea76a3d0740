"""Ops of alarms and rules: what stands, what somebody does about it, and why it came."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from gateway.bus import Feed
from gateway.local.arguments import flag, only, seconds, text, whole
from gateway.local.durable import kept
from gateway.local.peer import signed
from gateway.local.wire import OpError
from gateway.runtime.alarmdesk import LONGEST_S, AlarmDesk, By, Named, Records
from gateway.runtime.hindsight import MOST_RUNS, Hindsight, Rules
from gateway.store import Store

SHOWN_RUNS = 5
_ACT = ("id", "device", "comment", "who")


class Ruling(Rules, Protocol):
    """The rules at work (gateway.runtime.ruling.Ruling)."""

    def alarm_stats(self) -> dict[str, Any]: ...

    def virtuals(self) -> list[dict[str, Any]]: ...

    def watch_alarms(self) -> Feed[dict[str, Any]]: ...

    def unwatch_alarms(self, feed: Feed[dict[str, Any]]) -> None: ...


class HasRuling(Protocol):
    """What the ops need of a running node."""

    @property
    def ruling(self) -> Ruling: ...

    @property
    def store(self) -> Store: ...

    @property
    def audit(self) -> Records: ...


class AlarmOps:
    """The ops over one running node. `id` is `id@entity`, or an id that one entity has; `device` names the entity."""

    def __init__(self, node: HasRuling) -> None:
        self._node = node
        self._desk = AlarmDesk(node)

    async def alarms(self, args: dict[str, Any]) -> dict[str, Any]:
        """The alarms that are not normal, or all; with `stats` their figures."""
        only(args, "all", "stats", "device")
        rows = self._desk.rows(text(args, "device"), every=flag(args, "all"))
        return {"alarms": rows, **({"stats": self._node.ruling.alarm_stats()} if flag(args, "stats") else {})}

    async def watch(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """What stands, as `{"alarms": [...]}`, then `{"entry": {...}}` for each transition as the journal has it."""
        only(args, "device")
        device = text(args, "device")
        feed = self._node.ruling.watch_alarms()
        lost = 0
        try:
            yield {"alarms": self._desk.rows(device, every=False)}
            while True:
                entry = await feed.get()
                if feed.dropped > lost:
                    yield {"dropped": feed.dropped - lost}
                    lost = feed.dropped
                if device is None or device in (entry.get("device"), entry.get("entity")):
                    yield {"entry": dict(entry)}
        finally:
            self._node.ruling.unwatch_alarms(feed)

    async def ack(self, args: dict[str, Any]) -> dict[str, Any]:
        """Acknowledge an alarm, or all that wait for it (`all`), of one entity where `device` names it."""
        only(args, *_ACT, "all")
        if not flag(args, "all"):
            return await self._kept(self._desk.ack(_named(args), _by(args), _comment(args)))
        if args.get("id") is not None:
            raise OpError("alarm_ack takes id or all, not both", code=400)
        return await self._kept(self._desk.ack_all(text(args, "device"), _by(args), _comment(args)))

    async def shelve(self, args: dict[str, Any]) -> dict[str, Any]:
        """Put an alarm away for `for_s` seconds."""
        only(args, *_ACT, "for_s")
        for_s = seconds(args, "for_s", LONGEST_S)
        return await self._kept(self._desk.shelve(_named(args), for_s, _by(args), _comment(args)))

    async def unshelve(self, args: dict[str, Any]) -> dict[str, Any]:
        """End a shelving before its time."""
        only(args, *_ACT)
        return await self._kept(self._desk.unshelve(_named(args), _by(args), _comment(args)))

    async def reset(self, args: dict[str, Any]) -> dict[str, Any]:
        """Release the latch of an alarm that is over and acknowledged."""
        only(args, *_ACT)
        return await self._kept(self._desk.reset(_named(args), _by(args), _comment(args)))

    async def out_of_service(self, args: dict[str, Any]) -> dict[str, Any]:
        """Put an alarm away until somebody takes it back (`on` false)."""
        only(args, *_ACT, "on")
        if "on" not in args:
            raise OpError("alarm_out_of_service takes on: true or false", code=400)
        on = flag(args, "on")
        return await self._kept(self._desk.out_of_service(_named(args), _by(args), _comment(args), on=on))

    async def _kept(self, done: dict[str, Any]) -> dict[str, Any]:
        return await kept(self._node.store, done)


class RuleOps:
    """The ops over one running node. A name is a rule's id, the name of a rule that one device has, or an alarm."""

    def __init__(self, node: HasRuling) -> None:
        self._node = node
        self._hindsight = Hindsight(node)

    async def rules(self, _args: dict[str, Any]) -> dict[str, Any]:
        """Each rule with its phase, and the computed tags."""
        return {"rules": self._node.ruling.rules(), "virtuals": self._node.ruling.virtuals()}

    async def show(self, args: dict[str, Any]) -> dict[str, Any]:
        """What it is, what it looks at now, and its last runs."""
        only(args, "name", "last")
        return await self._hindsight.show(_name(args), whole(args, "last", SHOWN_RUNS, MOST_RUNS))

    async def why(self, args: dict[str, Any]) -> dict[str, Any]:
        """Its last activations, with the readings that led to each."""
        only(args, "name", "last")
        return await self._hindsight.why(_name(args), whole(args, "last", 1, MOST_RUNS))


def _name(args: dict[str, Any]) -> str:
    name = text(args, "name")
    if not name:
        raise OpError('this takes {"name": "rule or alarm"}', code=400)
    return name


def _named(args: dict[str, Any]) -> Named:
    name = text(args, "id")
    if not name:
        raise OpError('this takes {"id": "alarm", or "alarm@entity"}', code=400)
    return Named(name, text(args, "device"))


def _by(args: dict[str, Any]) -> By:
    return By(signed(text(args, "who"), args.get("caller"))[:64], "local")


def _comment(args: dict[str, Any]) -> str:
    return text(args, "comment") or ""
