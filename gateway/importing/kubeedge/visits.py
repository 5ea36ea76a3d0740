"""Properties as a device has them: where the value is, how often it is read, what is wanted of it.

v1beta1 calls them `properties` with `visitors.configData`, v1alpha2 `propertyVisitors` with one key by protocol.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from gateway.importing.kubeedge.objects import Resource
from gateway.importing.views import View

PROTOCOLS = ("modbus", "opcua", "bluetooth", "mqtt")
_ALIASES = {
    "ble": "bluetooth", "bluetoothle": "bluetooth", "opc-ua": "opcua", "opc ua": "opcua",
    "modbustcp": "modbus", "modbus-tcp": "modbus", "modbusrtu": "modbus", "modbus-rtu": "modbus",
}  # fmt: skip
ENTRY = {
    "name", "propertyName", "visitors", "collectCycle", "reportCycle", "reportToCloud", "desired", "pushMethod",
    "customizedProtocol", "customizedValues", *PROTOCOLS,
}  # fmt: skip


class Visit(Struct, frozen=True):
    """One property of one device. `protocol` is empty where the entry does not say it; `config` is what the protocol
    needs to find the value.
    """

    name: str
    view: View
    protocol: str
    config: View | None


def protocol_of(word: str) -> str:
    """The protocol's name as it is used here, any case; unknown ones stay as they are."""
    folded = word.strip().lower()
    folded = _ALIASES.get(folded, folded)
    return folded if folded in PROTOCOLS else word.strip()


def visits_of(device: Resource) -> list[Visit]:
    """All properties of a device that have a name, each once."""
    found: dict[str, Visit] = {}
    for view in _entries(device):
        visit = _visit(view)
        if visit is None:
            _ = view.data
        elif visit.name in found:
            device.view.report.error(view.place, f"the property `{visit.name}` is here twice", "remove one of them")
            _ = view.data
        else:
            found[visit.name] = visit
    return list(found.values())


def visitors_config(visitors: View | None) -> tuple[str, View | None]:
    """Protocol and configuration of `visitors`."""
    if visitors is None or visitors.as_map() is None:
        return "", None
    named, config = visitors.get("protocolName"), visitors.get("configData")
    if config is not None and config.as_map() is None:
        config = None
    return protocol_of(named.text) if named is not None else "", config


def _entries(device: Resource) -> Iterator[View]:
    for key in ("properties", "propertyVisitors"):
        listed = device.spec.get(key)
        for view in (listed.as_list() or ()) if listed is not None else ():
            if view.as_map() is not None:
                yield view


def _visit(view: View) -> Visit | None:
    named = view.get("name", "propertyName")
    name = named.as_text() if named is not None else None
    if not name:
        if named is None:
            view.report.error(view.place, "a property has no name", "- name: temperature")
        return None
    if "visitors" in view.keys():  # noqa: SIM118 - a View is no mapping
        protocol, config = visitors_config(view.get("visitors"))
        return Visit(name, view, protocol, config)
    own = view.get("customizedProtocol")
    if own is not None:
        protocol, config = visitors_config(own)
        return Visit(name, view, protocol, config)
    for key in view.keys():  # noqa: SIM118 - a View is no mapping
        if key in PROTOCOLS:
            config = view.get(key)
            return Visit(name, view, key, config if config is not None and config.as_map() is not None else None)
    return Visit(name, view, "", None)
