"""Ops on tags of one device: write, read, refresh."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.errors import DeviceUnavailable
from gateway.model import Device, Quality, Tag, Value, WriteResult, WriteState
from gateway.plans import is_readable
from gateway.runtime import oparguments
from gateway.runtime.ops import OPERATE, READ, Call, Op, OpRefused, summary
from gateway.uplink.codecs.base import SAFE_INTEGER

if TYPE_CHECKING:
    from gateway.runtime.node import Node

READ_TIMEOUT_S = 30.0


def known_device(node: Node, call: Call) -> Device:
    """The device that a call names."""
    if call.device is None:
        raise OpRefused(f"op {call.op!r} needs a device", code=400)
    device = node.tags.device(call.device)
    if device is None:
        raise OpRefused(f"there is no device {call.device}", code=404)
    return device


class TagOps:
    """The ops over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def table(self) -> dict[str, Op]:
        return {"write": Op(OPERATE, self.write), "read": Op(READ, self.read), "refresh": Op(READ, self.refresh)}

    async def write(self, call: Call) -> dict[str, Any]:
        """All items are checked first; then each ends by itself, with what was read back."""
        values = oparguments.values(call)
        device = known_device(self._node, call)
        if oparguments.flag(call, "dry_run", default=False):
            # Commands.write has no dry run yet; when it has: pass it on as `dry_run`, nothing else changes here
            raise OpRefused("dry_run is not served by this version", code=404)
        return await write_tags(self._node, call, device, values)

    async def read(self, call: Call) -> dict[str, Any]:
        """Ask the device now, for the named tags or all."""
        wanted = oparguments.names(call, "tags")
        device = known_device(self._node, call)
        if wanted is None:
            wanted = [tag.path for tag in device.tags if is_readable(tag)]
            if len(wanted) > oparguments.MAX_ITEMS:
                raise OpRefused(f"{device.id} has {len(wanted)} tags; name at most {oparguments.MAX_ITEMS}", code=413)
        items = await read_tags(self._node, device, wanted)
        return {"code": summary(items), "items": items}

    async def refresh(self, call: Call) -> dict[str, Any]:
        """Put the current values into telemetry once more; those of a device, or all."""
        device = known_device(self._node, call).id if call.device is not None else None
        count = self._node.refresh(device)
        await self._node.store.commit()
        return {"out": {"readings": count}}


async def read_tags(node: Node, device: Device, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What each tag reads now, by path. Raises DeviceUnavailable, RequestRefused, TimeoutError."""
    tags = {tag.path: tag for tag in device.tags}
    items: dict[str, Any] = {path: _not_readable(path, tags.get(path)) for path in wanted}
    chosen = [tags[path] for path in wanted if items[path] is None]
    runner = node.channels.target(device.id)
    if runner is None:
        raise DeviceUnavailable(f"the channel of {device.id} is not running")
    async with asyncio.timeout(READ_TIMEOUT_S):
        rows = await runner.read(chosen) if chosen else []
    items.update({tag.path: read_item(value, quality, ts) for tag, value, quality, ts in rows})
    return items


async def write_tags(node: Node, call: Call, device: Device, values: Mapping[str, Any]) -> dict[str, Any]:
    """Write in the order of `values`, after all are checked: code and items of the result."""
    results = await node.commands.write(
        {f"{device.id}.{path}": value for path, value in values.items()},
        origin=call.caller.who,
        via=call.caller.via,
        rid=call.caller.rid,
        deadline_s=call.caller.within_s,
    )
    items = {result.tag: _written(result) for result in results}
    good = sum(result.state is WriteState.OK for result in results)
    bad = (result.code for result in results if result.state is not WriteState.OK)
    return {"code": 200 if good == len(results) else 207 if good else next(bad), "items": items}


def carried(value: Value) -> Any:
    """A value as results carry it: integers that a double cannot hold are decimal texts."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > SAFE_INTEGER:
        return str(value)
    return value


def read_item(value: Value, quality: int, ts: int | None) -> dict[str, Any]:
    """One tag of a read."""
    code = 504 if quality == Quality.BAD_COMM else 422 if quality == Quality.BAD_CONFIG else 200
    return {"code": code, "value": carried(value), "quality": Quality(quality).text, "ts": ts}


def _not_readable(path: str, tag: Tag | None) -> dict[str, Any] | None:
    if tag is None:
        return {"code": 404, "text": f"there is no tag {path}"}
    return None if is_readable(tag) else {"code": 403, "text": f"{path} can only be written (access: w)"}


def _written(result: WriteResult) -> dict[str, Any]:
    item: dict[str, Any] = {"code": result.code, "value": carried(result.value), "verified": result.verified}
    return {**item, "text": result.text} if result.text else item
