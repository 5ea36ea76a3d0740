"""Zigbee2MQTT: `<base>/bridge/devices` describes all devices and what they expose, `bridge/info` how times are written.

Access bits of an expose: 1 it is in the state, 2 it can be set, 4 it can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.mqtt.discovery.describing import MOST_DEVICES, Described, tag_name, text
from drivers.mqtt.jsonpath import Step, write
from gateway.mqttclient.connection import Inbound

Found = Callable[[Described], None]

_IN_STATE, _CAN_SET = 1, 2
_MOST_DEPTH = 4
_TIMES = {"ISO_8601": "iso", "ISO_8601_local": "iso", "epoch": "ms"}


class Zigbee2Mqtt:
    """What one bridge tells of its devices."""

    def __init__(self, base: str, found: Found, changed: Callable[[], None]) -> None:
        self._base = base
        self._found = found
        self._changed = changed
        self._time: dict[str, Any] | None = None
        self._last: list[Any] = []
        self.left_out = 0

    @property
    def crowded(self) -> bool:
        """Whether the bridge has more devices than are looked at."""
        return self.left_out > 0

    def takers(self) -> list[_Topic]:
        """The two topics that describe."""
        return [_Topic(f"{self._base}/bridge/devices", self.devices), _Topic(f"{self._base}/bridge/info", self.info)]

    def info(self, document: Any) -> None:
        """`last_seen` of the bridge's settings: whether states say when they were true, and how."""
        config = document.get("config") if isinstance(document, dict) else None
        advanced = config.get("advanced") if isinstance(config, dict) else None
        form = _TIMES.get(text(advanced.get("last_seen"))) if isinstance(advanced, dict) else None
        time = {"path": "$.last_seen", "format": form} if form else None
        if time != self._time:
            self._time = time
            self.devices(self._last)

    def devices(self, document: Any) -> None:
        """All devices of the bridge, again with each change."""
        if not isinstance(document, list):
            return
        self._last = document
        before, self.left_out = self.left_out, max(0, len(document) - MOST_DEVICES)
        if bool(before) is not bool(self.left_out):
            self._changed()
        for device in document[:MOST_DEVICES]:
            if isinstance(device, dict) and device.get("type") != "Coordinator" and device.get("disabled") is not True:
                self._device(device)

    def _device(self, device: Mapping[str, Any]) -> None:
        address = text(device.get("ieee_address"))
        name = text(device.get("friendly_name")) or address
        if not address or "+" in name or "#" in name:
            return
        definition = device.get("definition")
        about: Mapping[str, Any] = definition if isinstance(definition, dict) else {}
        known = Described(f"{self._base}:{address}", name)
        known.properties = {
            "source": "zigbee2mqtt",
            "address": address,
            "topic": f"{self._base}/{name}",
            "maker": text(about.get("vendor")) or text(device.get("manufacturer")),
            "model": text(about.get("model")) or text(device.get("model_id")),
            "description": text(about.get("description")),
            "power": text(device.get("power_source")),
        }
        known.keys = {
            "topic": f"{self._base}/{name}",
            "availability": [
                {"topic": f"{self._base}/{name}/availability", "path": "$.state"},
                {"topic": f"{self._base}/bridge/state", "path": "$.state"},
            ],
            "command": {"topic": f"{self._base}/{name}/set"},
        }
        if self._time is not None:
            known.keys["time"] = self._time
        exposes = about.get("exposes")
        if not isinstance(exposes, list):
            known.odd["device"] = "the bridge does not know what this device exposes"
        else:
            _exposed(known, exposes, (), "")
        self._found(known)


def _exposed(known: Described, exposes: Sequence[Any], above: tuple[Step, ...], folder: str) -> None:
    """Tags of what is exposed below one place; `light`, `switch`... are only groups, `composite` is a place."""
    for expose in exposes:
        if not isinstance(expose, dict) or len(above) > _MOST_DEPTH:
            continue
        kind, features = text(expose.get("type")), expose.get("features")
        place = text(expose.get("property"))
        if isinstance(features, list):
            inner = (*above, place) if kind == "composite" and place else above
            _exposed(known, features, inner, f"{folder}{tag_name(place)}_" if inner is not above else folder)
            continue
        if not place:
            continue
        name = folder + tag_name(place)
        keys = _keys(kind, expose)
        if keys is None:
            known.odd[name] = f"{name}: kind {kind}"
            continue
        access = expose.get("access")
        bits = access if isinstance(access, int) else _IN_STATE
        if not bits & (_IN_STATE | _CAN_SET):
            continue
        if bits & _CAN_SET:
            keys["access"] = "rw" if bits & _IN_STATE else "w"
        known.parts[name] = {name: {"path": write((*above, place)), **keys}}


def _keys(kind: str, expose: Mapping[str, Any]) -> dict[str, Any] | None:
    """Type, unit, range and words of one value; None for a kind that is not known."""
    if kind == "binary":
        on, off = expose.get("value_on"), expose.get("value_off")
        if isinstance(on, str) and isinstance(off, str):
            return {"type": "bool", "words": {on: True, off: False}}
        return {"type": "bool"}
    if kind == "numeric":
        keys: dict[str, Any] = {"type": "float64"}
        if unit := text(expose.get("unit")):
            keys["unit"] = unit
        low, high = expose.get("value_min"), expose.get("value_max")
        if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
            keys["range"] = [low, high]
        return keys
    if kind in {"enum", "text"}:
        return {"type": "string"}
    return {"type": "object"} if kind == "list" else None


class _Topic:
    """A taker of the router."""

    def __init__(self, topic: str, give: Callable[[Any], None]) -> None:
        self.filter = topic
        self.format = "json"
        self._give = give

    def take(self, message: Inbound, document: Any) -> Sequence[Any]:  # noqa: ARG002 - the router's form
        self._give(document)
        return ()
