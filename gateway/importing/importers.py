"""The importers: which file belongs to whom, told by content alone. Each is loaded when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from gateway.importing.draft import Draft
from gateway.importing.sources import Source
from gateway.importing.views import View

KUBEEDGE = "devices.kubeedge.io/"


class Importer(Protocol):
    """A module that knows one kind of files. It gets all of them at once, so that references may point anywhere."""

    def convert(self, sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:
        """Draw everything in `views` (documents of YAML and JSON) and `sources` (lists and other texts)."""
        ...


_MODULES = {
    "edgex": "gateway.importing.edgex",
    "kubeedge": "gateway.importing.kubeedge",
    "thingsboard": "gateway.importing.thingsboard",
    "kepware": "gateway.importing.kepware",
    "neuron": "gateway.importing.neuron",
    "telegraf": "gateway.importing.telegraf",
    "sunspec": "gateway.importing.sunspec",
}
ORDER = tuple(_MODULES)
OURS = "fieldpost"
"""A list as `fieldpost export` prints it."""


def load(kind: str) -> Importer:
    """The importer of a kind."""
    return import_module(_MODULES[kind])


def kind_of_view(view: View) -> str:
    """Whose document this is; empty where nobody here knows it. Reads no key."""
    keys = set(view.keys())
    if {"kind", "apiVersion"} <= keys and _peek(view, "apiVersion").startswith(KUBEEDGE):
        return "kubeedge"
    if {"kind", "items"} <= keys and _peek_items(view, "apiVersion").startswith(KUBEEDGE):
        return "kubeedge"
    if _is_edgex(view, keys):
        return "edgex"
    if _is_thingsboard(view):
        return "thingsboard"
    if "id" in keys and "group" in keys and "points" in _peek_keys(view, "group"):
        return "sunspec"
    return ""


EDGEX_WRAPPERS = {
    "profile": "profile",
    "profiles": "profile",
    "device": "device",
    "devices": "device",
    "provisionwatcher": "watcher",
    "provisionWatchers": "watcher",
}
"""Keys of requests and answers of EdgeX' core-metadata that hold what its files hold."""


def _is_edgex(view: View, keys: set[str]) -> bool:
    first = next(view.items(), None)
    if first is not None:  # a list of devices, or of requests to core-metadata
        names = set(first.keys())
        return {"name", "protocols"} <= names or _is_edgex(first, names)
    if keys & {"deviceResources", "deviceList"} or {"identifiers", "discoveredDevice"} <= keys:
        return True
    return "apiVersion" in keys and not keys.isdisjoint(EDGEX_WRAPPERS.keys())


def kind_of_table(source: Source) -> str:
    """Whose list this is, by its header."""
    header = [
        cell.strip(' "\ufeff').lower() for cell in source.first_line.replace(";", ",").replace("\t", ",").split(",")
    ]
    if header[:2] == ["tag name", "address"]:
        return "kepware"
    if {"device", "tag"} <= set(header):
        return OURS
    if {"group", "name", "address", "attribute", "type"} <= set(header):
        return "neuron"
    return ""


def _is_thingsboard(view: View) -> bool:
    """A Modbus or OPC UA connector, as the gateway keeps it or as its user interface exports it."""
    for inside in (view, view.peek("configurationJson")):
        if inside is not None and (
            "slaves" in _peek_keys(inside, "master")
            or ("url" in _peek_keys(inside, "server") and "mapping" in [*inside.keys(), *_peek_keys(inside, "server")])
        ):
            return True
    return False


def _peek(view: View, key: str) -> str:
    below = view.peek(key)
    return below.text if below is not None else ""


def _peek_items(view: View, key: str) -> str:
    """A key of the first thing in `items`: what kubectl prints is a list."""
    items = next((each for name, each in view.entries() if name == "items"), None)
    first = next(items.items(), None) if items is not None else None
    return _peek(first, key) if first is not None else ""


def _peek_keys(view: View, key: str) -> list[str]:
    below = view.peek(key)
    return below.keys() if below is not None else []
