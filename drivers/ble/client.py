"""One connection to a device by bleak: opened, used and always closed. The only user of BleakClient."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError, BleakGATTProtocolError

from drivers.ble.address import InGatt
from drivers.ble.failures import failure_of
from drivers.ble.uuids import short
from gateway.errors import DeviceUnavailable, LinkLost, RequestRefused

_UNDO_S = 15.0
"""bleak keeps the time-out by itself, and then asks BlueZ to undo what was begun: cut short it would stay connected."""
_CLOSE_S = 6.0
"""How long a device may take to let go; the connection to the bus is given back in any case."""
_WANTS_PAIRING = frozenset({0x05, 0x08, 0x0C, 0x0F})
"""Error codes of the attribute protocol: insufficient authentication, authorization, key size, encryption."""
_REFUSED = ("NotPermitted", "NotSupported", "NotAuthorized", "InvalidValueLength", "InvalidOffset", "InvalidArguments")


class Connection:
    """A connected device. `lost` is set when it has gone."""

    def __init__(
        self, address: str, path: str, *, pair: bool, timeout_s: float, gone: Callable[[], None] = lambda: None
    ) -> None:
        # bleak would scan by itself for a bare address, beside our scan; BlueZ' own path is what it needs
        device = BLEDevice(address, None, {"path": path, "props": {}})
        self.lost = asyncio.Event()
        self._gone = gone
        self._timeout_s = timeout_s
        self._client = BleakClient(device, lambda _: self._lost(), timeout=timeout_s, pair=pair)

    async def open(self) -> None:
        """Connect and find services. Raises LinkLost.

        bleak undoes by itself what it began. It must not be told to disconnect as well: of a bus that was cancelled
        while it connected it would wait for an end that never comes.
        """
        try:
            async with asyncio.timeout(self._timeout_s + _UNDO_S):
                await self._client.connect()
        except (BleakError, OSError, EOFError, TimeoutError, AssertionError) as error:
            raise LinkLost(f"cannot connect: {_said(error)}") from error

    async def close(self) -> None:
        """Disconnect and give the bus connection back. Never raises but for a cancellation from outside."""
        with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError, AssertionError):
            async with asyncio.timeout(_CLOSE_S):
                await self._client.disconnect()
        self.lost.set()

    def _lost(self) -> None:
        self.lost.set()
        self._gone()

    @property
    def connected(self) -> bool:
        return self._client.is_connected and not self.lost.is_set()

    def find(self, address: InGatt) -> BleakGATTCharacteristic:
        """The characteristic. Raises RequestRefused when the device has none, or several and nobody said which,
        LinkLost.
        """
        try:
            services = sorted(self._client.services, key=lambda service: service.handle)
        except BleakError as error:  # they went with the connection
            raise LinkLost(f"the connection is gone: {_said(error)}") from error
        found = [
            each
            for service in services
            if not address.service or service.uuid == address.service
            for each in sorted(service.characteristics, key=lambda each: each.handle)
            if each.uuid == address.characteristic
        ]
        if len(found) < address.instance:
            raise RequestRefused(f"the device has no characteristic {address.text}")
        within = {each.service_uuid for each in found}
        if len(within) > 1 and not address.service and address.instance == 1:
            names = ", ".join(sorted(f"gatt/{short(uuid)}/{short(address.characteristic)}" for uuid in within))
            raise RequestRefused(f"{address.text} is in several services: write {names}")
        return found[address.instance - 1]

    async def read(self, what: BleakGATTCharacteristic, timeout_s: float) -> bytes:
        """Raises RequestRefused, DeviceUnavailable, LinkLost."""
        return bytes(await self._do(self._client.read_gatt_char(what), timeout_s))

    async def write(self, what: BleakGATTCharacteristic, data: bytes, response: bool | None, timeout_s: float) -> None:
        """`response` None: as the characteristic offers. Raises as `read`."""
        await self._do(self._client.write_gatt_char(what, data, response=response), timeout_s)

    async def notify(self, what: BleakGATTCharacteristic, heard: Callable[[bytes], None], timeout_s: float) -> None:
        """Call `heard` for each notification or indication. Raises as `read`."""
        await self._do(self._client.start_notify(what, lambda _, data: heard(bytes(data))), timeout_s)

    async def _do(self, request: Any, timeout_s: float) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                return await request
        except TimeoutError as error:
            raise DeviceUnavailable(f"no answer within {timeout_s:g} s") from error
        except BleakGATTProtocolError as error:  # the device's own answer
            code = int(error.code)
            hint = "; pair first: `pair: true`, or bluetoothctl" if code in _WANTS_PAIRING else ""
            raise RequestRefused(f"refused: {_words(error.code.name)}{hint}", code=code) from error
        except (BleakError, OSError, EOFError, AssertionError) as error:
            if not self.connected:
                raise LinkLost(f"the connection is gone: {_said(error)}") from error
            name = f"{getattr(error, 'dbus_error', '')} {error}"
            if any(word in name for word in _REFUSED):
                raise RequestRefused(f"refused: {_said(error)}") from error
            raise DeviceUnavailable(_said(error)) from error


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _said(error: BaseException) -> str:
    return str(error) or failure_of(error).text
