"""What the gateway answers locally: one coroutine per op, dict in, dict out. Shapes: config.md section 5.

The socket serves these; http will wrap the same ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from gateway.latest import Current
from gateway.local.alarms import AlarmOps, RuleOps
from gateway.local.arguments import number
from gateway.local.auditing import AuditOps
from gateway.local.byhand import HandOps
from gateway.local.commanding import CommandOps
from gateway.local.configuring import configuring_handlers
from gateway.local.connection import Handler
from gateway.local.devicelist import DeviceList
from gateway.local.discovered import discovered_handlers
from gateway.local.field import FieldOps
from gateway.local.history import HistoryOps
from gateway.local.peer import signed
from gateway.local.recording import RecordOps
from gateway.local.shadowing import ShadowOps
from gateway.local.wire import OpError
from gateway.model import Batch, Quality, Tag, Value
from gateway.runtime.alarmsummary import alarm_summary, rule_summary
from gateway.runtime.node import Node, plain, shown

_READ_TIMEOUT_S = 30.0
_WATCH_BOUND = 1000


def handlers(node: Node) -> dict[str, Handler]:
    """All ops of the core over one running node."""
    ops = _Ops(node)
    reading: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
        "status": ops.status,
        "version": ops.version,
        "devices": DeviceList(node).devices,
        "tags": ops.tags,
        "read": ops.read,
        "reads": ops.reads,
        "journal": ops.journal,
        "uplink": ops.uplink,
        "server_map": ops.server_map,
        "refresh": ops.refresh,
        "rebirth": ops.rebirth,
    }
    table = {name: Handler(fn, "read") for name, fn in reading.items()}
    table["write"] = Handler(ops.write, "operate", caller=True)
    table["reads_forget"] = Handler(ops.reads_forget, "operate")
    table["promote"] = Handler(ops.promote, "operate")
    table["uplink_forget"] = Handler(ops.uplink_forget, "admin")
    shadow = ShadowOps(node)
    table["shadow"] = Handler(shadow.get, "read")
    table["shadow_set"] = Handler(shadow.set, "operate", caller=True)
    table["shadow_delete"] = Handler(shadow.delete, "operate", caller=True)
    table["shadow_watch"] = Handler(shadow.watch, "read", stream=True)
    field, byhand = FieldOps(node), HandOps(node)
    table["force"] = Handler(byhand.force, "operate", caller=True)
    table["maintenance"] = Handler(byhand.maintenance, "operate", caller=True)
    table |= _alarms(node) | discovered_handlers(node) | configuring_handlers(node) | _updates(node)
    table["history"] = Handler(HistoryOps(node).history, "read", stream=True, whole=True)
    table["edgex_events"] = Handler(_events(node), "read", stream=True, whole=True)
    table["record"] = Handler(RecordOps(node).record, "operate", stream=True, whole=True)
    table["audit"] = Handler(AuditOps(node).audit, "read")
    commanding = CommandOps(node)
    table["command"] = Handler(commanding.command, scope_of=commanding.scope)
    table["trace"] = Handler(field.trace, "operate", stream=True)
    table["scan"] = Handler(field.scan, "operate", stream=True)
    table["browse"] = Handler(field.browse, "operate", stream=True, whole=True)
    table["probe"] = Handler(field.probe, "operate")
    table["watch"] = Handler(ops.watch, "read", stream=True)
    table["subscribe"] = Handler(ops.subscribe, "read", stream=True)
    return table


def _events(node: Node) -> Callable[[dict[str, Any]], AsyncIterator[dict[str, Any]]]:
    """The op that gives events of EdgeX; what it needs is imported when somebody asks."""

    async def events(args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        from gateway.local.eventexport import EventOps

        async for item in EventOps(node).events(args):
            yield item

    return events


def _updates(node: Node) -> dict[str, Handler]:
    """The ops of updates and jobs; what they need is imported when somebody asks."""

    def op(name: str) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
        async def answer(args: dict[str, Any]) -> dict[str, Any]:
            from gateway.local.updates import UpdateOps

            return await UpdateOps(node).answer(name, args)

        return answer

    reading = {name: Handler(op(name)) for name in ("ota", "jobs")}
    return {**reading, "ota_install": Handler(op("ota_install"), "admin", caller=True)}


def _alarms(node: Node) -> dict[str, Handler]:
    """The ops of alarms and rules."""
    alarms, rules = AlarmOps(node), RuleOps(node)
    acts = {
        "alarm_ack": alarms.ack,
        "alarm_shelve": alarms.shelve,
        "alarm_unshelve": alarms.unshelve,
        "alarm_reset": alarms.reset,
        "alarm_out_of_service": alarms.out_of_service,
    }
    return {
        "alarms": Handler(alarms.alarms),
        "alarms_watch": Handler(alarms.watch, stream=True),
        **{name: Handler(act, "operate", caller=True) for name, act in acts.items()},
        "rules": Handler(rules.rules),
        "rule_show": Handler(rules.show),
        "rule_why": Handler(rules.why),
    }


class _Ops:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def version(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"version": self._node.version}

    async def server_map(self, args: dict[str, Any]) -> dict[str, Any]:
        """Where a server offers its tags. Raises UnknownServer."""
        return self._node.servers.map(str(args.get("name", "")))

    async def status(self, _args: dict[str, Any]) -> dict[str, Any]:
        ruling = self._node.ruling
        return {**self._node.status(), "alarms": alarm_summary(ruling), "rules": rule_summary(ruling)}

    async def tags(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"tags": [self._row(tag) for tag in self._select(args)]}

    async def watch(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Rows of what changes, one item each, starting with what is known."""
        chosen = {tag.slot for tag in self._select(args)}
        feed = self._node.bus.watch(_WATCH_BOUND)
        try:
            for tag in self._select(args):
                yield self._row(tag)
            while True:
                batch = await feed.get()
                for row, tag in zip(_rows(batch), batch.tags, strict=True):
                    if tag.slot in chosen:
                        yield row
        finally:
            self._node.bus.unwatch(feed)

    async def subscribe(self, args: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Batches as they come, for local programs: {"device","ts","values","quality"?}."""
        devices = set(_names(args, "devices"))
        feed = self._node.bus.watch(_WATCH_BOUND)
        try:
            while True:
                batch = await feed.get()
                if not devices or batch.block.device in devices:
                    yield _batch_item(batch)
        finally:
            self._node.bus.unwatch(feed)

    async def read(self, args: dict[str, Any]) -> dict[str, Any]:
        """Ask the devices now. A device that is away gives bad/comm rows."""
        names = _names(args, "tags")
        if not names:
            raise OpError('read takes {"tags": ["device.tag", ...]}', code=400)
        by_device: dict[str, list[Tag]] = {}
        for name in names:
            for tag in self._match(name):
                by_device.setdefault(tag.device, []).append(tag)
        rows = await asyncio.gather(*(self._read_device(device, tags) for device, tags in by_device.items()))
        return {"tags": [row for part in rows for row in part]}

    async def _read_device(self, device: str, tags: list[Tag]) -> list[dict[str, Any]]:
        runner = self._node.channels.target(device)
        if runner is None:
            raise OpError(f"the channel of {device} is not running", code=504)
        async with asyncio.timeout(_READ_TIMEOUT_S):
            answers = await runner.read(tags)
        rows = []
        for tag, value, quality, ts in answers:
            row = _tag_row(tag, value, Quality(quality), ts, 0)
            if quality >= Quality.BAD and (why := runner.why(tag)):
                row["why"] = why
            rows.append(row)
        return rows

    async def write(self, args: dict[str, Any]) -> dict[str, Any]:
        values = args.get("values")
        if not isinstance(values, dict) or not values:
            raise OpError('write takes {"values": {"device.tag": value, ...}}', code=400)
        dry_run = args.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise OpError("dry_run is true or false", code=400)
        origin = signed(_text(args, "origin"), args.get("caller"))
        results = await self._node.commands.write(values, origin=origin, via="local", dry_run=dry_run)
        return {
            "results": [
                {
                    "device": result.device,
                    "tag": result.tag,
                    "state": result.state.value,
                    "code": result.code,
                    "value": plain(result.value),
                    "verified": result.verified,
                    **({"text": result.text} if result.text else {}),
                }
                for result in results
            ]
        }

    async def refresh(self, args: dict[str, Any]) -> dict[str, Any]:
        """Put the current values into telemetry once more."""
        return {"readings": self._node.refresh(_text(args, "device"))}

    async def reads(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = _text(args, "device")
        if wanted and self._node.tags.device(wanted) is None:
            raise OpError(f"there is no device {wanted}", code=404)
        devices: dict[str, Any] = {}
        channels: dict[str, Any] = {}
        for name, runner in self._node.channels.runners():
            found = runner.reads(wanted)
            devices.update(found)
            if found:
                channels[name] = runner.bus()
        return {"devices": devices, "channels": channels}

    async def reads_forget(self, args: dict[str, Any]) -> dict[str, Any]:
        """Drop what was learned of a device's requests, or of all devices."""
        wanted = _text(args, "device")
        if wanted and self._node.tags.device(wanted) is None:
            raise OpError(f"there is no device {wanted}", code=404)
        forgotten = {}
        for _, runner in self._node.channels.runners():
            for device in runner.states():
                if not wanted or device == wanted:
                    forgotten[device] = runner.forget(device)
        self._node.audit.record("local", "local", "reads_forget", device=wanted or "*")
        return {"forgotten": forgotten}

    async def promote(self, args: dict[str, Any]) -> dict[str, Any]:
        device = _text(args, "device") or ""
        runner = self._node.channels.target(device)
        if runner is None:
            raise OpError(f"there is no running device {device}", code=404)
        runner.promote(device)
        return {}

    async def journal(self, args: dict[str, Any]) -> dict[str, Any]:
        return self._node.journal_view(
            stream=_text(args, "stream"), since_ms=number(args, "since_ms"), limit=number(args, "limit") or 20
        )

    async def uplink(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"uplinks": self._node.uplinks.status()}

    async def uplink_forget(self, args: dict[str, Any]) -> dict[str, Any]:
        name = _text(args, "name") or ""
        await self._node.uplinks.forget(name)
        self._node.audit.record("local", "local", "uplink_forget", uplink=name)
        return {"forgotten": name}

    async def rebirth(self, _args: dict[str, Any]) -> dict[str, Any]:
        self._node.uplinks.rebirth()
        return {}

    def _select(self, args: dict[str, Any]) -> list[Tag]:
        wanted = _names(args, "tags")
        device = _text(args, "device")
        if device and self._node.tags.device(device) is None:
            raise OpError(f"there is no device {device}", code=404)
        if wanted:
            return [tag for name in wanted for tag in self._match(name)]
        return [
            tag
            for tag in self._node.tags.tags()
            if (not device or tag.device == device) and (not tag.spec.hidden or args.get("hidden"))
        ]

    def _match(self, name: str) -> list[Tag]:
        """`device.tag`, or `device` for all its tags."""
        device = self._node.tags.device(name)
        return list(device.tags) if device else [self._tag(name)]

    def _tag(self, name: str) -> Tag:
        tag = self._node.tags.find(name)
        if tag is None:
            raise OpError(f"there is no tag {name}", code=404)
        return tag

    def _row(self, tag: Tag) -> dict[str, Any]:
        current: Current = self._node.latest.current(tag)
        row = _tag_row(tag, current.value, current.quality, current.ts, current.age_ms)
        if tag.spec.on_demand and current.ts is None:
            row["asked"] = False
        if current.last is not None:
            row["last"] = {"value": shown(tag, current.last[0]), "ts": current.last[1]}
        if current.quality >= Quality.BAD:
            runner = self._node.channels.target(tag.device)
            if runner is not None and (why := runner.why(tag)):
                row["why"] = why
        return row


def _tag_row(tag: Tag, value: Value, quality: Quality, ts: int | None, age: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "device": tag.device,
        "tag": tag.path,
        "value": shown(tag, value),
        "unit": tag.spec.unit,
        "quality": quality.text,
        "ts": ts,
        "age": age,
    }
    label = next((text for raw, text in tag.spec.labels if raw == value), None) if tag.spec.labels else None
    return row if label is None else {**row, "label": label}


def _rows(batch: Batch) -> list[dict[str, Any]]:
    quality = batch.quality or [0] * len(batch.values)
    return [
        _tag_row(tag, value, Quality(code), batch.ts, 0)
        for tag, value, code in zip(batch.tags, batch.values, quality, strict=True)
    ]


def _batch_item(batch: Batch) -> dict[str, Any]:
    tags = batch.tags
    values = {tag.path: shown(tag, value) for tag, value in zip(tags, batch.values, strict=True)}
    item: dict[str, Any] = {"device": batch.block.device, "ts": batch.ts, "values": values}
    if batch.quality is not None:
        item["quality"] = {
            tag.path: Quality(code).text for tag, code in zip(tags, batch.quality, strict=True) if code != Quality.GOOD
        }
    return item


def _text(args: dict[str, Any], key: str) -> str | None:
    """A text argument; None when it is absent. Raises OpError 400."""
    value = args.get(key)
    if value is None or isinstance(value, str):
        return value
    raise OpError(f"{key} is a text", code=400)


def _names(args: dict[str, Any], key: str) -> list[str]:
    """A list of texts; empty when it is absent. Raises OpError 400."""
    value = args.get(key)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    raise OpError(f"{key} is a list of texts", code=400)
