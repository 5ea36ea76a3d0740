"""Channels of an import: devices behind one connection share one."""

from __future__ import annotations

from gateway.importing.draft import Draft
from gateway.importing.kubeedge.bindings import Connection
from gateway.importing.kubeedge.objects import Resource
from gateway.settings.yaml_writer import flow


class Channels:
    """Gives each connection its channel in the draft."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._made: dict[tuple[str, str], str] = {}
        """Connection's id and data -> channel."""
        self._lines: dict[str, str] = {}
        """Serial lines, which have one owner: id -> data."""

    def channel_for(self, connection: Connection, device: Resource) -> str | None:
        """The channel of a connection, made where there is none; None when it cannot be (told)."""
        data = flow(connection.data)
        known = self._lines.setdefault(connection.id, data)
        if not connection.shares and known != data:
            text = f"another device on this line is connected by other settings: {known}"
            self._draft.report.error(device.spec.place, text, "one line has one speed and parity")
            return None
        if (connection.id, data) not in self._made:
            self._made[connection.id, data] = self._new(connection, device)
        return self._made[connection.id, data]

    def _new(self, connection: Connection, device: Resource) -> str:
        place, name, number = device.view.place, connection.id, 1
        chosen = self._draft.channel_names.id_of(name, place)
        while chosen in self._draft.channels:
            number += 1
            chosen = self._draft.channel_names.id_of(f"{name}_{number}", place)
        self._draft.channels[chosen] = {**connection.data, "devices": {}}
        protocol = device.spec.get("protocol")
        self._draft.at(place if protocol is None else protocol.place, "channels", chosen)
        return chosen
