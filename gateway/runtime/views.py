"""What the uplinks see of the gateway: the model for births, current values for flat feeds, the ops for commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.commands import Commands
from gateway.errors import GatewayError, WriteRejected
from gateway.journal import AliasRow
from gateway.model import Batch, ChannelSpec, Tag, WriteState
from gateway.shadow import LatestValues
from gateway.tags import TagTable
from gateway.uplink.ports import DeviceRow, Latest, TagRow


class ModelView(Struct, frozen=True):
    """A frozen picture of the model (gateway.uplink.ports.ModelView)."""

    rows: Sequence[TagRow]
    devices: Sequence[DeviceRow]
    dict_no: int


class Model:
    """Makes the picture anew only when tags or aliases have changed."""

    def __init__(
        self,
        tags: TagTable,
        channels: Callable[[], Iterable[ChannelSpec]],
        aliases: Callable[[], Mapping[int, AliasRow]],
        dict_no: Callable[[], int],
    ) -> None:
        self._tags = tags
        self._channels = channels
        self._aliases = aliases
        self._dict_no = dict_no
        self._view: ModelView | None = None
        self._key: tuple[int, int] = (-1, -1)

    def __call__(self) -> ModelView:
        key = (self._tags.version, self._dict_no())
        if self._view is None or key != self._key:
            self._view, self._key = self._build(), key
        return self._view

    def _build(self) -> ModelView:
        rows = []
        for row in sorted(self._aliases().values(), key=lambda row: row.alias):
            tag = self._tags.get(row.device, row.tag)
            if tag is None:  # removed; its readings may still wait in the journal
                rows.append(TagRow(row.alias, row.device, row.tag, "", "", ""))
            else:
                spec = tag.spec
                rows.append(TagRow(row.alias, row.device, row.tag, spec.type.value, spec.unit, spec.access.value))
        devices = [
            DeviceRow(device.id, channel.driver, device.profile)
            for channel in self._channels()
            for device in channel.devices
        ]
        return ModelView(rows, sorted(devices), self._dict_no())


class FlatFeed:
    """Current values for codec `flat`: tells its listeners which slots changed, once the change is on disk."""

    def __init__(self, tags: TagTable, latest: LatestValues) -> None:
        self._tags = tags
        self._latest = latest
        self._listeners: list[Callable[[Sequence[int]], None]] = []

    def current(self) -> Iterable[Latest]:
        for tag in self._tags.tags():
            latest = self._one(tag)
            if latest is not None:
                yield latest

    def get(self, slot: int) -> Latest | None:
        tag = self._tags.by_slot(slot)
        return self._one(tag) if tag is not None else None

    def subscribe(self, listener: Callable[[Sequence[int]], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def watch(self, batch: Batch, on_durable: Callable[[], None] | None) -> Callable[[], None] | None:
        """Before the batch reaches the latest values: what must be called when it is on disk."""
        if not self._listeners:
            return on_durable
        changed = self._latest.differing(batch)
        if not changed:
            return on_durable

        def durable() -> None:
            self.changed(changed)
            if on_durable is not None:
                on_durable()

        return durable

    def changed(self, slots: Sequence[int]) -> None:
        """Tell the listeners (also when tags were removed)."""
        for listener in self._listeners:
            listener(slots)

    def _one(self, tag: Tag) -> Latest | None:
        current = self._latest.current(tag)
        if current.ts is None:
            return None
        device = self._tags.device(tag.device)
        channel = device.channel if device else ""
        return Latest(tag.slot, channel, tag.device, tag.path, current.value, int(current.quality), current.ts)


class UnknownOp(GatewayError):
    """An op that is not served (yet)."""

    code = 404


class Ops:
    """Serves commands that came over an uplink: write, read, refresh, rebirth (protocol.md 0, row 1)."""

    def __init__(
        self,
        commands: Commands,
        read: Callable[[str, list[str] | None], Any],
        refresh: Callable[[str | None], int],
        rebirth: Callable[[], None],
        durable: Callable[[], Any],
    ) -> None:
        self._commands = commands
        self._read = read
        self._refresh = refresh
        self._rebirth = rebirth
        self._durable = durable

    async def __call__(self, op: str, device: str | None, args: dict[str, Any]) -> dict[str, Any]:
        if op == "rebirth":
            self._rebirth()
            return {"code": 200, "out": {}}
        if op == "refresh":
            count = self._refresh(device)
            await self._durable()
            return {"code": 200, "out": {"readings": count}}
        if op == "read" and device is not None:
            items = {row.pop("tag"): {"code": 200, **row} for row in await self._read(device, args.get("tags"))}
            return {"code": 200, "items": items}
        if op == "write" and device is not None:
            return await self._write(device, args)
        raise UnknownOp(f"op {op!r} is not served by this version" if device else f"op {op!r} needs a device")

    async def _write(self, device: str, args: dict[str, Any]) -> dict[str, Any]:
        values = args.get("values")
        if not isinstance(values, dict) or not values:
            raise WriteRejected("write takes args.values: {tag: value}", code=400)
        named = {f"{device}.{path}": value for path, value in values.items()}
        results = await self._commands.write(named, origin=str(args.get("origin", "cloud")), via="command")
        await self._durable()
        items: dict[str, Any] = {}
        for result in results:
            item: dict[str, Any] = {"code": result.code, "value": result.value, "verified": result.verified}
            items[result.tag] = {**item, "text": result.text} if result.text else item
        good = sum(result.state is WriteState.OK for result in results)
        if good == len(results):
            return {"code": 200, "items": items}
        code = 207 if good else next(r.code for r in results if r.state is not WriteState.OK)
        return {"code": code, "items": items}
