"""Ops on a device or a channel as a whole: demote, promote, interval, force, maintenance, restart, browse, methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.commands import coerce
from gateway.context import ChannelRunner
from gateway.errors import DeviceUnavailable, RequestRefused, WriteRejected
from gateway.holds import LONGEST_S
from gateway.model import CommandSpec, Device, Tag, Value
from gateway.plans import is_polled
from gateway.runtime import oparguments
from gateway.runtime.ops import OPERATE, Call, Op, OpRefused, all_or_nothing
from gateway.runtime.rescanning import FOUND, MOST_FOUND, look_again
from gateway.runtime.tagops import known_device

if TYPE_CHECKING:
    from gateway.runtime.node import Node

DAY_S = 86400.0
_FASTEST_S = 0.01


class DeviceOps:
    """The ops over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def table(self) -> dict[str, Op]:
        return {
            "demote": Op(OPERATE, self.demote),
            "promote": Op(OPERATE, self.promote),
            "interval": Op(OPERATE, self.interval),
            "force": Op(OPERATE, self.force),
            "maintenance": Op(OPERATE, self.maintenance),
            "restart_channel": Op(OPERATE, self.restart_channel),
            "rescan": Op(OPERATE, self.rescan),
            "call": Op(OPERATE, self.call),
        }

    async def demote(self, call: Call) -> dict[str, Any]:
        """Take a device out of the fast schedule for a while."""
        for_s = oparguments.seconds(call, "for", DAY_S)
        device, runner = self._running(call)
        runner.demote(device.id, for_s)
        self._audit(call, device=device.id, for_ms=round(for_s * 1000))
        return {"out": {}}

    async def promote(self, call: Call) -> dict[str, Any]:
        """Ask a device that is away at once."""
        device, runner = self._running(call)
        runner.promote(device.id)
        self._audit(call, device=device.id)
        return {"out": {}}

    async def interval(self, call: Call) -> dict[str, Any]:
        """Another period for a while, for named tags, a group of the channel, or all that is polled."""
        every_s = oparguments.seconds(call, "every", DAY_S, _FASTEST_S)
        for_s = oparguments.seconds(call, "for", DAY_S)
        wanted = oparguments.names(call, "tags")
        device, runner = self._running(call)
        group = oparguments.text(call, "group") if "group" in call.args else None
        polled = [tag for tag in device.tags if is_polled(tag) and group in {None, tag.spec.group}]
        if not polled and wanted is None:
            raise OpRefused(f"no tag of {device.id} is polled" + (f" in group {group}" if group else ""), code=404)
        known = {tag.path: tag for tag in polled}
        items = {path: _polled_item(path, device, known) for path in wanted or ()}
        if (code := all_or_nothing(items)) != 200:
            return {"code": code, "items": items}
        chosen = polled if wanted is None else [known[path] for path in wanted]
        if not runner.other_period(device.id, chosen, every_s, for_s):
            raise OpRefused(f"{device.id} sends its values by itself and is not polled", code=404)
        self._audit(call, device=device.id, every_ms=round(every_s * 1000), for_ms=round(for_s * 1000))
        return {"items": items} if items else {"out": {"tags": len(chosen)}}

    async def force(self, call: Call) -> dict[str, Any]:
        """Values by hand; null ends one. All are checked before any is set."""
        values = oparguments.values(call)
        device = known_device(self._node, call)
        lasting = any(value is not None for value in values.values())
        for_s = oparguments.seconds(call, "for", LONGEST_S) if lasting else 0.0
        checked: list[tuple[Tag, Value]] = []
        items: dict[str, Any] = {}
        for path, value in values.items():
            tag = device.tag(path)
            if tag is None:
                items[path] = {"code": 404, "text": f"there is no tag {path}"}
                continue
            try:
                checked.append((tag, None if value is None else coerce(tag, value)))
                items[path] = {"code": 200}
            except WriteRejected as error:
                items[path] = {"code": error.code, "text": str(error)}
        if (code := all_or_nothing(items)) == 200:
            self._force(call, checked, for_s)
        return {"code": code, "items": items}

    def _force(self, call: Call, values: list[tuple[Tag, Value]], for_s: float) -> None:
        reason = str(call.args.get("reason") or "")[:200]
        for tag, value in values:
            if value is None:
                self._node.forces.release(tag.name, call.caller.who, call.caller.via)
            else:
                self._node.forces.set(tag, value, for_s, call.caller.who, reason, call.caller.via)

    async def maintenance(self, call: Call) -> dict[str, Any]:
        """Begin or end maintenance of a device."""
        on = oparguments.flag(call, "on")
        for_s = oparguments.seconds(call, "for", LONGEST_S) if on else 0.0
        device, caller = known_device(self._node, call), call.caller
        if on:
            reason = str(call.args.get("reason") or "")[:200]
            hold = self._node.maintenance.begin(device.id, for_s, caller.who, reason, caller.via)
            return {"out": {"until": hold.until}}
        return {"out": {"ended": self._node.maintenance.end(device.id, caller.who, caller.via)}}

    async def restart_channel(self, call: Call) -> dict[str, Any]:
        """End this channel and begin it anew; the others go on."""
        channel = self._channel(call)
        if not await self._node.channels.restart(channel):
            raise OpRefused(f"the channel {channel} does not run", code=404)
        self._audit(call, channel=channel)
        return {"out": {"channel": channel}}

    async def rescan(self, call: Call) -> dict[str, Any]:
        """Look at a channel anew: browse it, or scan it where its driver has no tree. Bounded in size and time."""
        oparguments.only(call, "channel", "options", "limit")
        channel, options = self._channel(call), call.args.get("options", {})
        if not isinstance(options, dict):
            raise OpRefused("rescan takes args.options: {name: value}", code=400)
        limit = oparguments.whole(call, "limit", 1, MOST_FOUND) if "limit" in call.args else FOUND
        return {"out": {"channel": channel, **await look_again(self._node.explorer, channel, options, limit)}}

    async def call(self, call: Call) -> dict[str, Any]:
        """Run a named command of a device, or a method of it: `method`, and values or arguments by name as `args`."""
        oparguments.only(call, "method", "args", "mode")
        method, given = oparguments.text(call, "method"), call.args.get("args", {})
        if not isinstance(given, dict):
            raise OpRefused("call takes args.args: {name: value}", code=400)
        device, runner = self._running(call)
        command = self._command(device, runner, method)
        if command is not None:
            from gateway.runtime.namedcommands import run_command  # loaded when the first one is called

            return await run_command(self._node, call, device, command, given)
        if "mode" in call.args:
            raise OpRefused(f"{device.id} has no command {method}: args.mode is for those", code=404)
        if refused := self._node.maintenance.refuses(device.id, call.caller.via):
            raise OpRefused(refused, code=403)
        try:
            found = await runner.call(device.id, method, given)
        except WriteRejected as error:
            raise OpRefused(str(error), code=error.code) from error
        except RequestRefused as error:
            raise OpRefused(str(error), code=404 if error.code == 404 else 422) from error
        self._audit(call, device=device.id, method=method)
        return {"out": {"device": device.id, "method": method, "result": found}}

    @staticmethod
    def _command(device: Device, runner: ChannelRunner, name: str) -> CommandSpec | None:
        """What `name` means: a command wins over a method, a method over a tag."""
        from gateway.runtime.namedcommands import find_command, tag_as_command

        found = find_command(device, name)
        if found is not None or any(method.get("method") == name for method in runner.methods(device.id)):
            return found
        return tag_as_command(device, name)

    def _running(self, call: Call) -> tuple[Device, ChannelRunner]:
        device = known_device(self._node, call)
        runner = self._node.channels.target(device.id)
        if runner is None:
            raise DeviceUnavailable(f"the channel of {device.id} is not running")
        return device, runner

    def _channel(self, call: Call) -> str:
        channel = oparguments.text(call, "channel")
        if all(spec.id != channel for spec in self._node.channels.specs()):
            raise OpRefused(f"there is no channel {channel}", code=404)
        return channel

    def _audit(self, call: Call, **details: Any) -> None:
        rid = {"rid": call.caller.rid} if call.caller.rid else {}
        self._node.audit.record(call.caller.who, call.caller.via, call.op, **details, **rid)


def _polled_item(path: str, device: Device, polled: dict[str, Tag]) -> dict[str, Any]:
    if path in polled:
        return {"code": 200}
    if device.tag(path) is None:
        return {"code": 404, "text": f"there is no tag {path}"}
    return {"code": 422, "text": f"{path} is not polled"}
