"""Devices that are heard and not configured: a bounded table, told to the gateway when they are new or change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from drivers.ble.advert import Advert
from drivers.ble.identify import Identity, identify, properties
from gateway.abilities import Sighting

MOST = 500
"""Devices that are remembered; the one heard longest ago makes room."""

MOST_NEWS = 50
"""New or changed devices that are looked into in a second; the others speak again and have their turn then. A crowd
beyond MOST pushes itself out of the table in turns, so that each advert would be news.
"""


class Strangers:
    """The table. `tell` takes what the gateway should know. `put_off`: adverts with news beyond MOST_NEWS."""

    def __init__(self, tell: Callable[[Sighting], None]) -> None:
        self._tell = tell
        self._since, self._news = 0.0, 0
        self.put_off = 0
        self._table: OrderedDict[str, tuple[Advert, dict[str, str]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, address: str) -> bool:
        return address in self._table

    def heard(self, advert: Advert) -> None:
        """An advert of a device that is not configured."""
        before = self._table.pop(advert.address, None)
        if before is not None and before[0].content == advert.content:
            self._table[advert.address] = (advert, before[1])
            return
        if before is not None and _same_kind(before[0], advert):
            self._table[advert.address] = (advert, before[1])
            return
        if not self._may_look(advert.mono):
            self.put_off += 1
            if before is not None:
                self._table[advert.address] = before  # as it was: the change is news the next time
            return
        identity = identify(advert)
        known = properties(advert, identity)
        self._table[advert.address] = (advert, known)
        if len(self._table) > MOST:
            self._table.popitem(last=False)
        if (before is None or before[1] != known) and (advert.lasting or identity.what not in {"advert", "gatt"}):
            self._tell(sighting_of(advert, identity))

    def _may_look(self, mono: float) -> bool:
        if not 0.0 <= mono - self._since < 1.0:
            self._since, self._news = mono, 0
        self._news += 1
        return self._news <= MOST_NEWS

    def adverts(self) -> list[Advert]:
        """What was heard last of each device."""
        return [advert for advert, _ in self._table.values()]


def _same_kind(old: Advert, new: Advert) -> bool:
    """Whether the properties must be the same: only data differs, of sources that are known by more than their key."""
    same_keys = old.manufacturer.keys() == new.manufacturer.keys() and old.service.keys() == new.service.keys()
    same_heads = all(old.service[key][:1] == data[:1] for key, data in new.service.items()) if same_keys else False
    return same_heads and old.name == new.name and old.uuids == new.uuids


def sighting_of(advert: Advert, identity: Identity) -> Sighting:
    """What the gateway keeps of a device that was seen."""
    shown = properties(advert, identity)
    return Sighting(
        identity=advert.address,
        name=advert.name,
        properties={**shown, "rssi": str(advert.rssi)},
        keys=dict(identity.keys),
        tags=dict(identity.tags),
        profile=identity.profile,
    )


def finding(advert: Advert, device: str = "", values: dict[str, Any] | None = None) -> dict[str, Any]:
    """A row of a scan. `device`: as which it is configured."""
    identity = identify(advert)
    shown = properties(advert, identity)
    row: dict[str, Any] = {
        "address": advert.address,
        "name": advert.name,
        "rssi": advert.rssi,
        "kind": identity.what,
        "services": shown.get("services", ""),
        "manufacturer": shown.get("manufacturer", ""),
        "values": dict(identity.values) if values is None else values,
        "ts": advert.ts,
        "keys": dict(identity.keys),
    }
    if identity.tags:
        row["tags"] = dict(identity.tags)
    if identity.profile:
        row["profile"] = identity.profile
    if device:
        row["device"] = device
    return row
