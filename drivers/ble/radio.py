"""One session with an adapter: bleak's scanner, our watch beside it, until one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from bleak import BleakScanner
from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError
from dbus_fast.errors import AuthError, DBusError

from drivers.ble.advert import Advert
from drivers.ble.bluez import Watch
from drivers.ble.failures import BUS_LOST, BluetoothAway, failure_of
from gateway.clock import Clock
from gateway.errors import LinkLost

_STOP_S = 5.0
_START_S = 15.0
_NOT_HEARD = ("Connected", "ServicesResolved", "Paired", "Bonded", "Trusted", "Blocked", "Alias", "WakeAllowed")
"""Properties of BlueZ' devices that change without an advert."""
Heard = Callable[[Advert], None]


class Radio:
    """The scanner of one adapter. `heard` is called for each advert; `fault` for an error in it."""

    def __init__(self, clock: Clock, heard: Heard, fault: Callable[[Exception], None]) -> None:
        self._clock = clock
        self._heard = heard
        self._fault = fault
        self._watch = Watch()
        self._scanner: BleakScanner | None = None
        self._states: dict[str, tuple[Any, ...]] = {}
        self.adapter = ""
        self.passive = False

    @property
    def gone(self) -> asyncio.Event:
        return self._watch.gone

    async def release(self, path: str) -> None:
        """Before connecting: see Watch.release. Raises LinkLost."""
        try:
            await self._watch.release(path)
        except ERRORS as error:
            raise LinkLost(failure_of(error).text) from error

    def why_gone(self) -> BluetoothAway:
        failure = self._watch.failure
        assert failure is not None
        return BluetoothAway(failure.text, failure.repair, silent=failure.silent)

    async def open(self, adapter: str, patterns: Iterable[tuple[int, bytes]] | None, group: asyncio.TaskGroup) -> str:
        """Begin to scan; `patterns` (AD type, beginning) for a passive scan, None for an active one.

        Returns why a passive scan was refused and an active one runs instead, else nothing. Raises what
        ERRORS has.
        """
        self.adapter = await self._watch.open(adapter, group)
        async with asyncio.timeout(_START_S):
            if patterns is not None:
                try:
                    await self._start("passive", patterns)
                except BleakError as error:
                    await self._start("active", ())
                    return str(error)
                self.passive = True
            else:
                await self._start("active", ())
        return ""

    async def close(self) -> None:
        """End the scan and leave the bus. Never raises but for a cancellation."""
        scanner, self._scanner = self._scanner, None
        try:
            if scanner is not None and not (self._watch.failure is BUS_LOST and await _forget_dead_bus()):
                with contextlib.suppress(Exception):  # whatever is left of BlueZ, we are leaving
                    async with asyncio.timeout(_STOP_S):
                        await scanner.stop()
        finally:
            await self._watch.close()

    async def _start(self, mode: Any, patterns: Iterable[tuple[int, bytes]]) -> None:
        # Without DuplicateData a beacon that always says the same at the same strength would be silent for us.
        options: Any = {"adapter": self.adapter, "filters": {"DuplicateData": True}}
        if mode == "passive":
            options["or_patterns"] = [OrPattern(0, AdvertisementDataType(kind), data) for kind, data in patterns]
        scanner = BleakScanner(self._detected, scanning_mode=mode, bluez=options)
        starting = asyncio.ensure_future(scanner.start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _undo(scanner, starting)
            raise
        self._scanner = scanner

    def _detected(self, device: BLEDevice, data: AdvertisementData) -> None:
        try:
            if self._was_heard(device, data):
                self._heard(self._advert(device, data))
        except Exception as error:  # in bleak's own reader of D-Bus: it must not end there
            self._fault(error)

    def _was_heard(self, device: BLEDevice, data: AdvertisementData) -> bool:
        """A change of BlueZ' device is no advert when it is a connection's, or a strength that is taken back."""
        properties: Any = data.platform_data[1] if len(data.platform_data) > 1 else {}
        state = tuple(str(properties.get(name)) for name in _NOT_HEARD)
        before = self._states.get(device.address)
        if before is None and len(self._states) >= 1000:
            self._states.clear()
        self._states[device.address] = state
        return "RSSI" in properties and (before is None or before == state)

    def _advert(self, device: BLEDevice, data: AdvertisementData) -> Advert:
        properties: Any = data.platform_data[1] if len(data.platform_data) > 1 else {}
        return Advert(
            address=device.address.upper(),
            name=data.local_name or "",
            rssi=data.rssi,
            tx_power=data.tx_power,
            manufacturer=data.manufacturer_data,
            service={uuid.lower(): content for uuid, content in data.service_data.items()},
            uuids=tuple(uuid.lower() for uuid in data.service_uuids),
            ts=self._clock.wall_ms(),
            mono=self._clock.mono(),
            public=properties.get("AddressType", "public") == "public",
        )


async def _forget_dead_bus() -> bool:
    """Have bleak begin anew after the bus has died, its scans with it: there is nobody to tell that a scan ends."""
    try:
        from bleak.backends.bluezdbus import manager

        kept = manager._global_instances.get(asyncio.get_running_loop())
        if kept is not None and kept._bus is not None and not kept._bus.connected:
            await leave_bleak()
    except (ImportError, AttributeError):
        return False
    return True


async def leave_bleak() -> None:
    """Give back what bleak keeps for the life of a process: one connection to the bus and the task that watches it.

    bleak has no call for it; where its inside is another one day, they stay, which costs one descriptor.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from bleak.backends.bluezdbus import manager

        kept = manager._global_instances.pop(asyncio.get_running_loop(), None)
        if kept is None or kept._bus is None:
            return
        if kept._bus_watcher_task is not None:  # else it would warn of a lost bus
            kept._bus_watcher_task.cancel()
            await asyncio.wait({kept._bus_watcher_task}, timeout=_STOP_S)
        kept._bus.disconnect()


def assume_bluez_version() -> None:
    """Bleak runs `bluetoothctl --version` before the first connection, and waits for ever when that is cancelled. BlueZ
    5.55, which it looks for, is of 2020.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from bleak.backends.bluezdbus.version import BlueZFeatures

        BlueZFeatures.checked_bluez_version = True


ERRORS = (BluetoothAway, BleakError, OSError, EOFError, TimeoutError, DBusError, AuthError)
"""What opening and using an adapter raises when Bluetooth is away."""


async def _undo(scanner: BleakScanner, starting: asyncio.Future[None]) -> None:
    """End a scan that was cancelled while it began: BlueZ may have been told already, and would refuse the next one as
    in progress for as long as the process lives.
    """
    try:
        async with asyncio.timeout(_STOP_S):
            await starting
            await scanner.stop()
    except Exception:  # it had not begun, or BlueZ is gone
        starting.cancel()
