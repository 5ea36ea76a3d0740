"""ThingsBoard IoT Gateway connectors (JSON): Modbus masters and OPC UA clients, with their devices as they are."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.importing.draft import Draft
from gateway.importing.sources import Source
from gateway.importing.thingsboard import modbus, opcua
from gateway.importing.views import View


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:
    """A channel for each address that the connectors talk to."""
    del sources
    for view in views:
        content = connector(view)
        if "master" in content.keys():  # noqa: SIM118 - a View is no mapping
            modbus.draw(content, draft)
        else:
            opcua.draw(content, draft)


def connector(view: View) -> View:
    """The connector's own part: a file as the gateway keeps it, or as its user interface exports it."""
    inside = view.get("configurationJson")
    if inside is None or not inside.is_map:
        return view
    for key in (
        "name",
        "type",
        "mode",
        "configuration",
        "logLevel",
        "configVersion",
        "enableRemoteLogging",
        "ts",
        "key",
    ):
        view.get(key)
    return inside


__all__ = ["convert"]
