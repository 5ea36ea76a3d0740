"""org.bluez as D-Bus objects: an adapter, devices, services, characteristics. Our reading of BlueZ' D-Bus interface: it
proves our states, not BlueZ; tests/vm has the real one.
"""

# dbus-fast takes D-Bus signatures as annotations
# ruff: noqa: F722, F821, N802
# mypy: ignore-errors

import asyncio

from dbus_fast import DBusError, PropertyAccess, Variant
from dbus_fast.service import ServiceInterface, dbus_property, method

READ = PropertyAccess.READ


class Interface(ServiceInterface):
    """An interface whose changing properties live in one dict."""

    def __init__(self, name, **state):
        super().__init__(name)
        self.state = state

    def change(self, **values):
        self.state.update(values)
        self.emit_properties_changed(values)


class Adapter(Interface):
    """org.bluez.Adapter1. bleak reads `Roles` unconditionally."""

    def __init__(self, world, address):
        super().__init__("org.bluez.Adapter1", Discovering=False, Powered=True)
        self.world = world
        self.address = address

    @dbus_property(READ)
    def Address(self) -> "s":
        return self.address

    @dbus_property(READ)
    def Powered(self) -> "b":
        return self.state["Powered"]

    @dbus_property(READ)
    def Roles(self) -> "as":
        return ["central", "peripheral"]

    @dbus_property(READ)
    def Discovering(self) -> "b":
        return self.state["Discovering"]

    @method()
    async def SetDiscoveryFilter(self, properties: "a{sv}"):
        self.world.filters = {key: value.value for key, value in properties.items()}

    @method()
    async def StartDiscovery(self):
        if not self.state["Powered"]:
            raise DBusError("org.bluez.Error.NotReady", "Resource Not Ready")
        if self.state["Discovering"]:
            raise DBusError("org.bluez.Error.InProgress", "Operation already in progress")
        self.change(Discovering=True)
        self.world.begin()

    @method()
    async def StopDiscovery(self):
        self.change(Discovering=False)
        self.world.end()


class Monitors(Interface):
    """org.bluez.AdvertisementMonitorManager1: passive scanning."""

    def __init__(self, world):
        super().__init__("org.bluez.AdvertisementMonitorManager1")
        self.world = world

    @method()
    async def RegisterMonitor(self, application: "o"):
        self.world.passive = application
        self.world.begin()

    @method()
    async def UnregisterMonitor(self, application: "o"):
        self.world.passive = ""
        self.world.end()


class Device(Interface):
    """org.bluez.Device1. `spec`: name, rssi, manufacturer {company: hex}, service {uuid: hex}, uuids, gatt, period."""

    def __init__(self, world, path, address, spec):
        # `left`: the kernel holds a connection that a dead predecessor made, and nobody finds its services
        super().__init__("org.bluez.Device1", Connected=bool(spec.get("left")), ServicesResolved=False)
        self.world = world
        self.path = path
        self.address = address
        self.spec = spec
        self.exported = False
        self.connects = 0

    @dbus_property(READ)
    def Address(self) -> "s":
        return self.address

    @dbus_property(READ)
    def AddressType(self) -> "s":
        return self.spec.get("type", "public")

    @dbus_property(READ)
    def Name(self) -> "s":
        return self.spec.get("name", "")

    @dbus_property(READ)
    def Alias(self) -> "s":
        return self.spec.get("name", "")

    @dbus_property(READ)
    def Adapter(self) -> "o":
        return self.world.adapter_path

    @dbus_property(READ)
    def Paired(self) -> "b":
        return False

    @dbus_property(READ)
    def UUIDs(self) -> "as":
        return self.spec.get("uuids", [])

    @dbus_property(READ)
    def RSSI(self) -> "n":
        return self.spec.get("rssi", -60)

    @dbus_property(READ)
    def ManufacturerData(self) -> "a{qv}":
        return {int(key): Variant("ay", bytes.fromhex(data)) for key, data in self.spec.get("manufacturer", {}).items()}

    @dbus_property(READ)
    def ServiceData(self) -> "a{sv}":
        return {uuid: Variant("ay", bytes.fromhex(data)) for uuid, data in self.spec.get("service", {}).items()}

    @dbus_property(READ)
    def Connected(self) -> "b":
        return self.state["Connected"]

    @dbus_property(READ)
    def ServicesResolved(self) -> "b":
        return self.state["ServicesResolved"]

    @method()
    async def Connect(self):
        self.connects += 1
        self.world.connecting += 1
        self.world.most_connecting = max(self.world.most_connecting, self.world.connecting)
        try:
            await asyncio.sleep(self.spec.get("connect_delay", 0.02))
        finally:
            self.world.connecting -= 1
        if self.spec.get("refuses"):
            raise DBusError("org.bluez.Error.Failed", "le-connection-abort-by-peer")
        if self.state["Connected"] or not self.exported:
            return
        self.change(Connected=True)
        self.world.most_connected = max(self.world.most_connected, self.world.connected)
        if not self.spec.get("never_resolves"):
            self.world.export_gatt(self)
            await asyncio.sleep(0.01)
            self.change(ServicesResolved=True)

    @method()
    async def Disconnect(self):
        self.drop()

    def advertise(self):
        if not self.exported:
            self.exported = True
            self.world.bus.export(self.path, self)
            return
        self.emit_properties_changed(
            {"RSSI": self.RSSI, "ManufacturerData": self.ManufacturerData, "ServiceData": self.ServiceData}
        )

    def drop(self):
        """End the connection from the device's side."""
        if self.state["Connected"]:
            self.world.withdraw_gatt(self)
            self.change(ServicesResolved=False, Connected=False)


class Service(Interface):
    """org.bluez.GattService1."""

    def __init__(self, uuid, device_path):
        super().__init__("org.bluez.GattService1")
        self.uuid = uuid
        self.device_path = device_path

    @dbus_property(READ)
    def UUID(self) -> "s":
        return self.uuid

    @dbus_property(READ)
    def Device(self) -> "o":
        return self.device_path

    @dbus_property(READ)
    def Primary(self) -> "b":
        return True


class Characteristic(Interface):
    """org.bluez.GattCharacteristic1. Its value lives in the device's spec, so that it outlasts a connection.

    `spec`: uuid, flags, value (hex), period (seconds between notifications; each is the value counted up by one).
    """

    def __init__(self, service_path, spec):
        super().__init__("org.bluez.GattCharacteristic1", Notifying=False)
        self.service_path = service_path
        self.spec = spec
        self.notifying = None

    @dbus_property(READ)
    def UUID(self) -> "s":
        return self.spec["uuid"]

    @dbus_property(READ)
    def Service(self) -> "o":
        return self.service_path

    @dbus_property(READ)
    def Flags(self) -> "as":
        return self.spec["flags"]

    @dbus_property(READ)
    def MTU(self) -> "q":
        return 185

    @dbus_property(READ)
    def Notifying(self) -> "b":
        return self.state["Notifying"]

    @dbus_property(READ)
    def Value(self) -> "ay":
        return bytes.fromhex(self.spec["value"])

    @method()
    async def ReadValue(self, options: "a{sv}") -> "ay":
        if "read" not in self.spec["flags"]:
            raise DBusError("org.bluez.Error.NotPermitted", "Read not permitted")
        if self.spec.get("hangs"):
            await asyncio.sleep(3600)
        self.spec["reads"] = self.spec.get("reads", 0) + 1
        return self.Value

    @method()
    async def WriteValue(self, value: "ay", options: "a{sv}"):
        if not {"write", "write-without-response"} & set(self.spec["flags"]):
            raise DBusError("org.bluez.Error.NotPermitted", "Write not permitted")
        self.spec.setdefault("written", []).append([bytes(value).hex(), options["type"].value])
        self.spec["value"] = bytes(value).hex()

    @method()
    async def StartNotify(self):
        if not {"notify", "indicate"} & set(self.spec["flags"]):
            raise DBusError("org.bluez.Error.NotSupported", "Operation is not supported")
        self.change(Notifying=True)
        self.notifying = asyncio.get_running_loop().create_task(self._notify())

    @method()
    async def StopNotify(self):
        self.stop()
        self.change(Notifying=False)

    def stop(self):
        if self.notifying:
            self.notifying.cancel()

    async def _notify(self):
        while period := self.spec.get("period"):
            await asyncio.sleep(period)
            old = self.Value
            number = int.from_bytes(old, "little") + 1
            self.spec["value"] = (number % (1 << (8 * len(old)))).to_bytes(len(old), "little").hex()
            self.emit_properties_changed({"Value": self.Value})
