"""What all devices of a model have in common goes into its profile; each device keeps what is its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.importing.draft import Draft
from gateway.importing.kubeedge.devices import DrawnDevice
from gateway.importing.kubeedge.model import Model, Property
from gateway.importing.names import literal

_OWN = {"desired", "interval", "report_every", "local"}
"""Said by devices, not by kinds of devices."""


def put_devices(devices: Sequence[DrawnDevice], models: Iterable[Model], draft: Draft) -> None:
    """Put profiles and devices into the draft."""
    for model in models:
        mine = [device for device in devices if device.model is model]
        _put_profile(model, mine, draft)
    for device in devices:
        _put_device(device, draft)


def _put_profile(model: Model, devices: Sequence[DrawnDevice], draft: Draft) -> None:
    tags: dict[str, Any] = {}
    for name, prop in model.properties.items():
        common = _common(name, devices) if devices else _alone(prop)
        if common:
            tags[prop.path] = common
            draft.at(prop.place, "profiles", model.id, "tags", prop.path)
            if devices:
                draft.at(devices[0].tags[name].place, "profiles", model.id, "tags", prop.path, "address")
    draft.profiles[model.id] = {"meta": model.meta, "tags": tags} if tags else {"meta": model.meta}
    draft.at(model.resource.view.place, "profiles", model.id)


def _common(name: str, devices: Sequence[DrawnDevice]) -> dict[str, Any]:
    """Keys that are the same in all devices, taken out of them. A tag is in the profile only if all devices have it."""
    if any(name not in device.tags for device in devices):
        return {}
    first, *others = (device.tags[name].keys for device in devices)
    common = {
        key: value
        for key, value in first.items()
        if key not in _OWN and all(key in keys and _same(keys[key], value) for keys in others)
    }
    for device in devices:
        for key in common:
            del device.tags[name].keys[key]
    return common


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _alone(prop: Property) -> dict[str, Any]:
    """What a model says by itself, for a profile that no device has yet."""
    keys: dict[str, Any] = {"type": prop.type}
    if prop.access != "r":
        keys["access"] = prop.access
        limits = {name: value for name, value in (("min", prop.low), ("max", prop.high)) if value is not None}
        if limits and prop.kind in {"int", "float", "double"}:
            keys["write"] = limits
    for key, text in (("unit", prop.unit), ("description", prop.description)):
        if text:
            keys[key] = literal(text)
    if prop.meta:
        keys["meta"] = dict(prop.meta)
    return keys


def _put_device(device: DrawnDevice, draft: Draft) -> None:
    root = ("channels", device.channel, "devices", device.id)
    draft.at(device.resource.view.place, *root)
    data = dict(device.data)
    intervals = [made.keys.get("interval") for made in device.tags.values()]
    if intervals and None not in intervals:
        usual = max(dict.fromkeys(intervals), key=intervals.count)
        data = {"profile": data.pop("profile"), "interval": usual, **data}
        for made in device.tags.values():
            if made.keys["interval"] == usual:
                del made.keys["interval"]
    tags = {}
    for made in device.tags.values():
        draft.at(made.place, *root, "tags", made.path)
        if made.keys:
            tags[made.path] = made.keys
    if tags:
        data["tags"] = tags
    draft.channels[device.channel]["devices"][device.id] = data
