"""What BlueZ and D-Bus do while we use them: bleak tells a scanner nothing when they go away.

One connection to the system bus for each session: it finds the adapter, and it sees bus, BlueZ or adapter go.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from dbus_fast import BusType, Message, MessageType, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError

from drivers.ble.failures import ADAPTER_LOST, ADAPTER_OFF, BLUEZ_LOST, BUS_LOST, BluetoothAway, Failure

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
_NO_DEVICE = frozenset({"org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.DBus.Error.UnknownMethod"})
_PROPERTIES = "org.freedesktop.DBus.Properties"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_BUS = "org.freedesktop.DBus"
_CALL_S = 10.0


class Watch:
    """Sees Bluetooth go. `gone` is set with the reason in `failure`."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.failure: Failure | None = None
        self.adapter = ""
        self._bus: MessageBus | None = None
        self._end: asyncio.Task[None] | None = None

    async def open(self, wanted: str, group: asyncio.TaskGroup) -> str:
        """Connect and find the adapter (`hci0`, an address, or empty for the first that is on). Returns its name.

        Raises BluetoothAway, OSError and what dbus-fast raises.
        """
        bus = self._bus = MessageBus(bus_type=BusType.SYSTEM)
        async with asyncio.timeout(_CALL_S):
            await bus.connect()
            self._end = group.create_task(self._wait_for_end(bus), name="bluetooth bus")
            bus.add_message_handler(self._hear)
            await self._match(f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='{BLUEZ}'")
            reply = await self._call(BLUEZ, "/", _OBJECTS, "GetManagedObjects")
            self.adapter = path = _choose(reply, wanted)
            await self._match(f"type='signal',interface='{_PROPERTIES}',member='PropertiesChanged',path='{path}'")
            await self._match(f"type='signal',interface='{_OBJECTS}',member='InterfacesRemoved',arg0path='{path}'")
        return path.rpartition("/")[2]

    async def release(self, path: str) -> None:
        """End a connection that a dead program or a dead bluetoothd left: the kernel holds it, nobody has found its
        services, and bleak would wait for them in vain. Raises what dbus-fast raises.
        """
        async with asyncio.timeout(_CALL_S):
            try:
                found = unpack_variants(await self._call(BLUEZ, path, _PROPERTIES, "GetAll", "s", [DEVICE]))
                if found.get("Connected") and not found.get("ServicesResolved"):
                    await self._call(BLUEZ, path, DEVICE, "Disconnect")
            except DBusError as error:
                if error.type not in _NO_DEVICE:
                    raise

    async def close(self) -> None:
        """Leave the bus. Never raises."""
        if self._bus is not None:
            with contextlib.suppress(Exception):
                self._bus.disconnect()
        if self._end is not None:
            self._end.cancel()
            await asyncio.wait({self._end})
        self._bus = self._end = None

    async def _wait_for_end(self, bus: MessageBus) -> None:
        with contextlib.suppress(Exception):  # whatever ended it, it has ended
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        self._lost(BUS_LOST)

    def _lost(self, failure: Failure) -> None:
        if not self.gone.is_set():
            self.failure = failure
            self.gone.set()

    async def _match(self, rule: str) -> None:
        await self._call(_BUS, "/org/freedesktop/DBus", _BUS, "AddMatch", "s", [rule])

    async def _call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", body: list[Any] | None = None
    ) -> Any:
        assert self._bus is not None
        message = Message(
            destination=to, path=path, interface=interface, member=member, signature=signature, body=body or []
        )
        reply = await self._bus.call(message)
        if reply is None or reply.message_type is MessageType.ERROR:
            name = "" if reply is None else reply.error_name or ""
            raise DBusError(name, str(reply.body[0]) if reply is not None and reply.body else name)
        return reply.body[0] if reply.body else None

    def _hear(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "NameOwnerChanged" and message.body[0] == BLUEZ and not message.body[2]:
            self._lost(BLUEZ_LOST)
        elif message.member == "InterfacesRemoved" and message.body[0] == self.adapter and ADAPTER in message.body[1]:
            self._lost(ADAPTER_LOST)
        elif message.member == "PropertiesChanged" and message.path == self.adapter and message.body[0] == ADAPTER:
            changed = unpack_variants(message.body[1])
            if changed.get("Powered") is False:
                self._lost(ADAPTER_OFF)


def _choose(objects: Any, wanted: str) -> str:
    """Path of the adapter. Raises BluetoothAway."""
    adapters = {
        path: unpack_variants(interfaces[ADAPTER]) for path, interfaces in objects.items() if ADAPTER in interfaces
    }
    if not adapters:
        raise BluetoothAway(
            "there is no Bluetooth adapter", "plug one in; `rfkill list` shows blocked ones", silent=True
        )
    known = sorted((path.rpartition("/")[2], str(each.get("Address", "")), path) for path, each in adapters.items())
    fitting = [row for row in known if not wanted or wanted.lower() == row[0] or wanted.upper() == row[1].upper()]
    if not fitting:
        there = ", ".join(f"{name} ({address})" for name, address, _ in known)
        raise BluetoothAway(f"there is no adapter {wanted}", f"there are {there}", silent=True)
    powered = [path for _, _, path in fitting if adapters[path].get("Powered")]
    if not powered:
        raise BluetoothAway(f"adapter {fitting[0][0]} is switched off", ADAPTER_OFF.repair, silent=True)
    return str(powered[0])
