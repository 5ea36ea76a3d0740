"""Ruuvi data formats 3, 5, 6 and E1 by `ruuvitag-ble`."""

from __future__ import annotations

from typing import Any

from ruuvitag_ble import RuuvitagBluetoothDeviceData

from drivers.ble.advert import Advert
from drivers.ble.parsers import RUUVI, Measured, Recorder, service_info

_LENGTHS = {0x03: 14, 0x05: 24, 0x06: 20, 0xE1: 40}
"""Data format and its bytes (docs.ruuvi.com, "Bluetooth advertisements"); the library decodes what is shorter too."""


class _Data(Recorder, RuuvitagBluetoothDeviceData):
    """The library's parser with a record of what each advert brought."""


class RuuviParser:
    """Decodes one Ruuvi device."""

    counter = 0

    def __init__(self) -> None:
        self._data: Any = _Data()

    def measure(self, advert: Advert) -> Measured:
        payload = advert.manufacturer.get(RUUVI, b"")
        least = _LENGTHS.get(payload[0]) if payload else None
        if least is None:
            return Measured(refused=f"data format {payload[:1].hex() or 'none'} is not known")
        if len(payload) < least:
            return Measured(refused=f"{len(payload)} bytes, the format has {least}")
        try:
            self._data.update(service_info(advert))
        except Exception as error:  # as with BTHome
            self._data.take()
            return Measured(refused=f"{type(error).__name__}: {error}")
        found: Measured = self._data.take()
        return found
