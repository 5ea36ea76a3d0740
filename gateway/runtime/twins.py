"""Devices as KubeEdge's twins: expected is what is desired, actual what is known now (gateway/uplink/twins)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.latest import LatestValues
from gateway.model import Access, Device, DeviceState, Quality, Tag, ValueType
from gateway.runtime.views import FlatFeed
from gateway.shadows.convert import is_state, to_document
from gateway.shadows.delta import agrees
from gateway.shadows.desk import Desk
from gateway.shadows.paths import shadow_path
from gateway.shadows.values import Shadow, ShadowError
from gateway.tags import TagTable
from gateway.transform import RAW
from gateway.uplink.twins import texts
from gateway.uplink.twins.port import Side, Twin, TwinError, Wish

_STATES = {
    DeviceState.ONLINE: "online",
    DeviceState.OFFLINE: "offline",
    DeviceState.DEGRADED: "unhealthy",
    DeviceState.DEMOTED: "unhealthy",
}
VIA = "shadow"
"""As desired values of the cloud: `write.allow` knows them as `cloud`."""
_CODES = {404: 404, 409: 409}


class Twins:
    """gateway.uplink.twins.port.TwinPort over the running gateway. `states`: of the devices at work."""

    def __init__(
        self,
        tags: TagTable,
        latest: LatestValues,
        desk: Desk,
        feed: FlatFeed,
        states: Callable[[], Mapping[str, DeviceState]],
    ) -> None:
        self._tags = tags
        self._latest = latest
        self._desk = desk
        self._feed = feed
        self._states = states
        self._names: dict[str, dict[str, Tag]] = {}
        self._lacking: dict[str, int] = {}
        self._version = -1
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By device: a version that a wish was made over is compared when the wish before it is done."""

    def devices(self) -> Sequence[str]:
        return [device.id for device in self._tags.devices() if texts.is_key(device.id)]

    def knows(self, device: str) -> bool:
        return self._tags.device(device) is not None

    def states(self) -> Mapping[str, str]:
        return {device: _STATES.get(state, "unknown") for device, state in self._states().items()}

    def twins(self, device: str) -> tuple[list[Twin], int]:
        return self._shown(device, self._desk.keeper.get(device))

    def _shown(self, device: str, shadow: Shadow) -> tuple[list[Twin], int]:
        named, reported = self._tags_of(device), self._desk.reporter.version(device)
        found: list[Twin] = []
        left_out = self._lacking.get(device, 0)
        for name, tag in named.items():
            twin = self._twin(name, tag, shadow, reported)
            if twin is None:
                left_out += 1
            else:
                found.append(twin)
        return found, left_out

    async def want(self, device: str, wishes: Mapping[str, Wish], who: str) -> list[Twin]:
        async with self._turns[device]:
            return self._shown(device, await self._want(device, wishes, who))[0]

    async def _want(self, device: str, wishes: Mapping[str, Wish], who: str) -> Shadow:
        named = self._tags_of(device)
        values: dict[str, Any] = {}
        ended: list[str] = []
        for name, wish in wishes.items():
            tag = named.get(name)
            if tag is None:
                raise TwinError(f"{device} has no twin {name}", code=404)
            path = shadow_path(tag.path)
            if wish.ver is not None and wish.ver != (ver := self._ver(device, path)):
                raise TwinError(f"{name} is at version {ver}, not {wish.ver}", code=409)
            if wish.value is None:
                self._check_removable(device, name, tag, path)
                ended.append(path)
            else:
                values[path] = _value(name, tag, wish.value)
        made = self._desk.keeper.get(device)
        try:
            if values:
                made = await self._desk.set(device, values, who=who, via=VIA)
            for path in ended:
                made = await self._desk.delete(device, path, who=who, via=VIA)
        except ShadowError as error:
            raise TwinError(str(error), code=500 if error.code >= 500 else _CODES.get(error.code, 400)) from None
        return made

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        def values(slots: Sequence[int]) -> None:
            for device in {tag.device for slot in slots if (tag := self._tags.by_slot(slot)) is not None}:
                listener(device)

        def wishes(device: str, _within: float) -> None:
            listener(device)

        end = self._feed.subscribe(values)
        self._desk.listen(wishes)

        def stop() -> None:
            end()
            self._desk.unlisten(wishes)

        return stop

    # --- inside

    def _tags_of(self, device: str) -> dict[str, Tag]:
        """Tags by the name of their twin."""
        if self._version != self._tags.version:
            self._names, self._lacking, self._version = {}, {}, self._tags.version
        if device not in self._names:
            known = self._tags.device(device)
            self._names[device], self._lacking[device] = _named(known) if known is not None else ({}, 0)
        return self._names[device]

    def _twin(self, name: str, tag: Tag, shadow: Shadow, reported: int) -> Twin | None:
        """None where one of its values cannot be told."""
        current, path = self._latest.current(tag), shadow_path(tag.path)
        wanted, ts, ver = _wanted(shadow, path)
        known = current.value is not None and current.ts is not None and current.quality < Quality.BAD
        texts_of = [_text(tag, wanted), _text(tag, to_document(current.value)) if known else None]
        if (wanted is not None and texts_of[0] is None) or (known and texts_of[1] is None):
            return None
        expected = None if texts_of[0] is None else Side(texts_of[0], ts, ver)
        actual = None if texts_of[1] is None else Side(texts_of[1], current.ts or 0, reported)
        differs = wanted is not None and not (known and agrees(tag, wanted, to_document(current.value)))
        return Twin(name, _type(tag), is_state(tag), expected, actual, differs)

    def _ver(self, device: str, path: str) -> int:
        return _wanted(self._desk.keeper.get(device), path)[2]

    def _check_removable(self, device: str, name: str, tag: Tag, path: str) -> None:
        if not is_state(tag):
            raise TwinError(f"{name} is not optional", code=400)
        if _wanted(self._desk.keeper.get(device), path)[0] is None:
            raise TwinError(f"nothing is wanted of {name}", code=404)


def _named(device: Device) -> tuple[dict[str, Tag], int]:
    """Twins by name: the name that an import kept in `meta`, where a twin can have it, else the path."""
    found: dict[str, Tag] = {}
    count = 0
    for tag in device.tags:
        if tag.spec.local or tag.spec.hidden or tag.spec.access is Access.WRITE:
            continue
        count += 1
        kept = dict(tag.spec.meta).get("name", "")
        name = kept if texts.is_key(kept) and kept not in found else tag.path
        if texts.is_key(name) and name not in found:
            found[name] = tag
    return found, count - len(found)


def _wanted(shadow: Shadow, path: str) -> tuple[Any, int, int]:
    """Value, time and version of what is wanted: a value set at the gateway, else the desired leaf."""
    leaf, edit = shadow.live().get(path), shadow.edits.get(path)
    if edit is not None:
        return edit.value, edit.ts, edit.base_ver
    return (None, 0, 0) if leaf is None else (leaf.value, leaf.ts, leaf.ver)


def _type(tag: Tag) -> str:
    spec = tag.spec
    if spec.labels or spec.type in {ValueType.STRING, ValueType.BYTES, ValueType.OBJECT}:
        return texts.STRING
    if spec.type is ValueType.BOOL:
        return texts.BOOLEAN
    fractions = any(x is not None and not float(x).is_integer() for x in (spec.transform.scale, spec.transform.offset))
    return texts.FLOAT if RAW[spec.type].is_float or spec.transform.base or fractions else texts.INT


def _text(tag: Tag, value: Any) -> str | None:
    """A document's value as a twin's text: the label where it has one."""
    if value is None:
        return None
    labels = dict(tag.spec.labels)
    if labels and isinstance(value, int) and int(value) in labels:
        return texts.text_of(labels[int(value)])
    return texts.text_of(value)


def _value(name: str, tag: Tag, text: str) -> Any:
    """What is wanted, for the shadow. Raises TwinError 400."""
    kind = _type(tag)
    labels = {label: number for number, label in tag.spec.labels}
    try:
        if labels and text not in labels:
            kind = texts.INT
        value = texts.value_of(text, kind)
    except texts.Unfit as error:
        raise TwinError(f"{name}: {error}", code=400) from None
    if text in labels:
        value = bool(labels[text]) if tag.spec.type is ValueType.BOOL else labels[text]
    elif labels and tag.spec.type is ValueType.BOOL:
        value = bool(value)
    return value
