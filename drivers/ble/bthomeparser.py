"""BTHome v2 by `bthome-ble`."""

from __future__ import annotations

import logging
from typing import Any

from bthome_ble import BTHomeBluetoothDeviceData

from drivers.ble.advert import Advert
from drivers.ble.parsers import BTHOME, Measured, Recorder, service_info

_LEAST = 2
logging.getLogger("bthome_ble").setLevel(logging.CRITICAL)
"""It warns of each message that it does not take: those are counted, and told once by an issue."""


class _Data(Recorder, BTHomeBluetoothDeviceData):
    """The library's parser with a record of what each advert brought. Its own table of values is not used: the record
    takes the updates in its place.
    """


class BTHomeParser:
    """Decodes one BTHome device."""

    def __init__(self, key: str, counter: int) -> None:
        self._data: Any = _Data(bindkey=bytes.fromhex(key) if key else None)
        self._key = bool(key)
        if counter:
            self._data.encryption_counter = float(counter)
            self._data.bindkey_verified = True  # it was, when this counter was kept: replays are refused from the start

    @property
    def counter(self) -> int:
        return int(self._data.encryption_counter)

    def measure(self, advert: Advert) -> Measured:
        payload = advert.service.get(BTHOME, b"")
        if len(payload) < _LEAST:
            return Measured(refused="too short")
        encrypted = bool(payload[0] & 1)
        before = self._data.encryption_counter
        try:
            self._data.update(service_info(advert))
        except Exception as error:  # a library's fault with strange bytes is a bad advert, not the end of a channel
            self._data.take()
            return Measured(refused=f"{type(error).__name__}: {error}")
        found: Measured = self._data.take()
        if found.values or found.events:
            return found
        return Measured(refused=self._why(encrypted, int.from_bytes(payload[-8:-4], "little"), before))

    def _why(self, encrypted: bool, counter: int, before: float) -> str:
        if encrypted and not self._key:
            return "encrypted, and the device has no `key`"
        if self._key and not encrypted:
            return "not encrypted, although the device has a `key`: ignored"
        if encrypted and counter < before:
            return f"counter {counter} is below {before:.0f}: a replay, ignored"
        if encrypted and self._data.decryption_failed:
            return "the `key` does not fit"
        return ""
