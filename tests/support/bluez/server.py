"""The process that is BlueZ in the tests: `python -m tests.support.bluez.server CONTROL_SOCKET`.

One JSON command a line on the socket, one answer a line. Like bluetoothd it ends when the bus goes.
"""

# mypy: ignore-errors

import asyncio
import contextlib
import json
import sys

from dbus_fast import BusType
from dbus_fast.aio import MessageBus

from tests.support.bluez.objects import Adapter, Characteristic, Device, Monitors, Service


class World:
    """The adapter, its devices, and what is on the bus for them."""

    def __init__(self):
        self.devices = {}
        self.bus = None
        self.filters = {}
        self.passive = ""
        self.adapter = None
        self.adapter_path = "/org/bluez/hci0"
        self.connecting = self.most_connecting = self.most_connected = 0
        self._tasks = {}
        self._gatt = {}
        self._scanning = False

    @property
    def connected(self):
        return sum(device.state["Connected"] for device in self.devices.values())

    # commands

    def do_adapter(self, name="hci0", address="00:00:00:00:00:01", experimental=True):
        self.adapter_path = f"/org/bluez/{name}"
        self.adapter = Adapter(self, address)
        self.bus.export(self.adapter_path, self.adapter)
        if experimental:
            self.bus.export(self.adapter_path, Monitors(self))

    def do_unplug(self):
        self.end()
        for device in self.devices.values():
            self._forget(device)
        self.bus.unexport(self.adapter_path)
        self.adapter = None

    def do_power(self, on):
        if not on:
            self.end()
            for device in self.devices.values():
                device.drop()
            self.adapter.change(Discovering=False)
        self.adapter.change(Powered=on)

    def do_device(self, address, spec):
        """A new device, or new content of a known one."""
        if address in self.devices:
            device = self.devices[address]
            kept = device.spec.get("gatt")
            device.spec = {**device.spec, **spec}
            if kept is not None and "gatt" not in spec:
                device.spec["gatt"] = kept
        else:
            path = f"{self.adapter_path}/dev_{address.replace(':', '_')}"
            device = self.devices[address] = Device(self, path, address, spec)
        self._advertise(device)

    def do_say(self, address):
        """One advert now."""
        if self._scanning:
            self.devices[address].advertise()

    def do_vanish(self, address, forget=True):
        """No more adverts, no connection; BlueZ forgets the device."""
        device = self.devices[address]
        device.spec["silent"] = True
        if (task := self._tasks.pop(address, None)) is not None:
            task.cancel()
        device.drop()
        if forget:
            self._forget(device)

    def do_return(self, address):
        self.devices[address].spec["silent"] = False
        self._advertise(self.devices[address])

    def do_drop(self, address):
        self.devices[address].drop()

    def do_value(self, address, uuid, **spec):
        """Change a characteristic's spec."""
        self._characteristic(address, uuid).update(spec)

    def do_look(self):
        return {
            "connected": self.connected,
            "most_connected": self.most_connected,
            "most_connecting": self.most_connecting,
            "connects": {address: device.connects for address, device in self.devices.items()},
            "scanning": self._scanning,
            "passive": self.passive,
            "filters": self.filters,
        }

    def do_characteristic(self, address, uuid):
        return self._characteristic(address, uuid)

    def _characteristic(self, address, uuid):
        return next(
            spec
            for service in self.devices[address].spec["gatt"]
            for spec in service["characteristics"]
            if spec["uuid"] == uuid
        )

    # what they do

    def begin(self):
        self._scanning = True
        for device in self.devices.values():
            self._advertise(device)

    def end(self):
        self._scanning = False
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def _advertise(self, device):
        if self._scanning and device.address not in self._tasks and not device.spec.get("silent"):
            self._tasks[device.address] = asyncio.get_running_loop().create_task(self._repeat(device))

    async def _repeat(self, device):
        while True:
            if not device.state["Connected"] or not device.exported:
                device.advertise()
            await asyncio.sleep(device.spec.get("every", 0.1))

    def _forget(self, device):
        device.drop()
        if device.exported:
            device.exported = False
            self.bus.unexport(device.path)

    def export_gatt(self, device):
        exported = self._gatt[device.path] = []
        for i, service in enumerate(device.spec.get("gatt", [])):
            service_path = f"{device.path}/service{i * 32 + 1:04x}"
            self._export(exported, service_path, Service(service["uuid"], device.path))
            for j, spec in enumerate(service["characteristics"]):
                path = f"{service_path}/char{i * 32 + j + 2:04x}"
                self._export(exported, path, Characteristic(service_path, spec))

    def _export(self, exported, path, interface):
        self.bus.export(path, interface)
        exported.append((path, interface))

    def withdraw_gatt(self, device):
        for path, interface in reversed(self._gatt.pop(device.path, [])):
            if isinstance(interface, Characteristic):
                interface.stop()
            self.bus.unexport(path)


async def serve(world, reader, writer):
    while line := await reader.readline():
        order = json.loads(line)
        try:
            answer = {"ok": getattr(world, "do_" + order.pop("do"))(**order)}
        except Exception as error:
            answer = {"error": repr(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main(control, adapter):
    world = World()
    world.bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    if adapter:
        world.do_adapter(**json.loads(adapter))
    await world.bus.request_name("org.bluez")
    server = await asyncio.start_unix_server(lambda r, w: serve(world, r, w), control)
    print("ready", flush=True)
    with contextlib.suppress(Exception):
        await world.bus.wait_for_disconnect()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
