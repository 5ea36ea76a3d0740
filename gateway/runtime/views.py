"""What the uplinks see of the gateway: the model for births, current values for flat feeds, names for EdgeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.journal import AliasRow
from gateway.latest import LatestValues
from gateway.model import Batch, ChannelSpec, Tag
from gateway.tags import TagTable
from gateway.uplink.ports import DeviceRow, Latest, TagRow

if TYPE_CHECKING:
    from gateway.edgexevents.resources import Resource


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
            if tag is not None and tag.spec.local:
                continue
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


class EdgexNames:
    """What EdgeX calls the tags, by alias: a new mapping whenever tags or aliases have changed."""

    def __init__(
        self, tags: TagTable, aliases: Callable[[], Mapping[int, AliasRow]], dict_no: Callable[[], int]
    ) -> None:
        self._tags = tags
        self._aliases = aliases
        self._dict_no = dict_no
        self._resources: dict[int, Resource] = {}
        self._key: tuple[int, int] = (-1, -1)

    def __call__(self) -> Mapping[int, Resource]:
        from gateway.edgexevents.resources import by_alias  # only who sends events needs it

        key = (self._tags.version, self._dict_no())
        if key != self._key:
            devices = {device.id: device.spec for device in self._tags.devices()}
            self._resources, self._key = by_alias(self._aliases().values(), devices), key
        return self._resources


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
        if current.ts is None or tag.spec.local:
            return None
        device = self._tags.device(tag.device)
        channel = device.channel if device else ""
        return Latest(tag.slot, channel, tag.device, tag.path, current.value, int(current.quality), current.ts)
