"""What this machine trusts: its factory root, the highest that it has seen, and a clock as far as it is believed."""

from __future__ import annotations

import time

from gateway.clock import ntp_synced
from gateway.ota.operators import NotBelieved, written
from gateway.ota.places import Places
from gateway.ota.release import ReleaseRefused
from gateway.ota.slots import SlotsView
from gateway.ota.trust import Floors, Now, Trust
from gateway.release import release_ms


def anchors(places: Places, view: SlotsView) -> Trust:
    """Raises ReleaseRefused where nobody was ever trusted."""
    try:
        root = places.factory_root.read_bytes()
    except OSError as error:
        raise ReleaseRefused("root", f"this machine trusts nobody: {places.factory_root}: {error.strerror}") from None
    floors = Floors(**{name: view.floors.get(name, 0) for name in Floors.__struct_fields__})
    synced = ntp_synced()
    vouched = not synced and _vouched(places)
    now = Now(int(time.time()), synced=synced, built=release_ms() // 1000, vouched=vouched)
    return Trust(root=root, cache=places.cache, floors=floors, now=now, store=places.wheels)


def _vouched(places: Places) -> bool:
    """Whether the operator says that the clock is right without NTP: `clock.trust` of `/etc/fieldpost/gateway.yaml`. A
    clock that stood still is no better for it, so `always` is no more than `rtc` here.
    """
    try:
        return written(places, "clock", "trust") in ("rtc", "always")
    except NotBelieved:
        return False
