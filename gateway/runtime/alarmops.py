"""Ops on alarms: acknowledge, shelve, reset, out of service, list."""

from __future__ import annotations

from typing import Any

from gateway.runtime import oparguments
from gateway.runtime.alarmdesk import AlarmDesk, By, HasAlarms, Named
from gateway.runtime.ops import OPERATE, READ, Call, Op, OpRefused
from rules.alarms.refusal import LONGEST_S


class AlarmOps:
    """The ops over one running node. `args.id` is `id@entity`, or an id; `device` beside the op names its entity."""

    def __init__(self, node: HasAlarms) -> None:
        self._desk = AlarmDesk(node)

    def table(self) -> dict[str, Op]:
        return {
            "alarm_ack": Op(OPERATE, self.ack),
            "alarm_shelve": Op(OPERATE, self.shelve),
            "alarm_unshelve": Op(OPERATE, self.unshelve),
            "alarm_reset": Op(OPERATE, self.reset),
            "alarm_out_of_service": Op(OPERATE, self.out_of_service),
            "alarm_list": Op(READ, self.list),
        }

    async def ack(self, call: Call) -> dict[str, Any]:
        """Acknowledge an alarm; with `all` everything that waits for it, of one entity where `device` names it."""
        oparguments.only(call, "id", "all", "comment")
        by, comment = _by(call), _comment(call)
        if oparguments.flag(call, "all", default=False):
            if "id" in call.args:
                raise OpRefused("alarm_ack takes args.id or args.all, not both", code=400)
            return {"out": self._desk.ack_all(call.device, by, comment)}
        return {"out": self._desk.ack(_named(call), by, comment)}

    async def shelve(self, call: Call) -> dict[str, Any]:
        """Put an alarm away for a while."""
        oparguments.only(call, "id", "for", "comment")
        named, comment = _named(call), _comment(call)
        return {"out": self._desk.shelve(named, oparguments.seconds(call, "for", LONGEST_S), _by(call), comment)}

    async def unshelve(self, call: Call) -> dict[str, Any]:
        """End a shelving before its time."""
        oparguments.only(call, "id", "comment")
        return {"out": self._desk.unshelve(_named(call), _by(call), _comment(call))}

    async def reset(self, call: Call) -> dict[str, Any]:
        """Release the latch of an alarm that is over and acknowledged."""
        oparguments.only(call, "id", "comment")
        return {"out": self._desk.reset(_named(call), _by(call), _comment(call))}

    async def out_of_service(self, call: Call) -> dict[str, Any]:
        """Put an alarm away until somebody takes it back."""
        oparguments.only(call, "id", "on", "comment")
        named, comment = _named(call), _comment(call)
        return {"out": self._desk.out_of_service(named, _by(call), comment, on=oparguments.flag(call, "on"))}

    async def list(self, call: Call) -> dict[str, Any]:
        """The alarms that are not normal; with `all` every one."""
        oparguments.only(call, "all")
        every = oparguments.flag(call, "all", default=False)
        return {"out": {"alarms": self._desk.rows(call.device, every=every)}}


def _named(call: Call) -> Named:
    return Named(oparguments.text(call, "id"), call.device)


def _by(call: Call) -> By:
    return By(call.caller.who, call.caller.via, call.caller.rid)


def _comment(call: Call) -> str:
    given = call.args.get("comment", "")
    if not isinstance(given, str):
        raise OpRefused(f"{call.op} takes args.comment: a text", code=400)
    return given
