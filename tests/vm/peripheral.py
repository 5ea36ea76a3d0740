"""A thermometer made by bumble, on a virtual radio that it shares with the kernel's virtual controller.

Runs in the guest. Advertises BTHome data and has a temperature that can be read, written and notifies.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bumble.controller import Controller
from bumble.core import AdvertisingData
from bumble.device import Device
from bumble.gatt import Characteristic, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink

CENTRAL = "00:11:22:33:44:55"
PERIPHERAL = "F0:F1:F2:F3:F4:F5"
ENVIRONMENT = "0000181a-0000-1000-8000-00805f9b34fb"
TEMPERATURE = "00002a6e-0000-1000-8000-00805f9b34fb"
HUMIDITY = "00002a6f-0000-1000-8000-00805f9b34fb"
BTHOME = bytes.fromhex("d2fc40016402ca0903bf13")


class CentralController(Controller):
    """The controller that the kernel sees. bumble's link sends from `random_address`, while BlueZ connects with its public
    one and sets a random one for scanning only.
    """

    @property
    def random_address(self) -> Any:
        return self._public_address

    @random_address.setter
    def random_address(self, address: Any) -> None:
        pass


async def main() -> None:
    link = LocalLink()
    kernel = await open_transport("vhci")
    central = CentralController(
        "hci0", host_source=kernel.source, host_sink=kernel.sink, link=link, public_address=CENTRAL
    )
    controller = Controller("peripheral", link=link, public_address=PERIPHERAL)
    device = Device(name="env", address=Address(PERIPHERAL), host=Host(controller, AsyncPipeSink(controller)))
    flags, rights = Characteristic.Properties, Characteristic.READABLE | Characteristic.WRITEABLE
    temperature = Characteristic(TEMPERATURE, flags.READ | flags.WRITE, rights, bytes.fromhex("1009"))
    humidity = Characteristic(HUMIDITY, flags.READ | flags.NOTIFY, Characteristic.READABLE, bytes.fromhex("0000"))
    device.add_service(Service(ENVIRONMENT, [temperature, humidity]))
    advert = [(AdvertisingData.COMPLETE_LOCAL_NAME, b"env"), (AdvertisingData.SERVICE_DATA, BTHOME)]
    device.advertising_data = bytes(AdvertisingData(advert))
    await device.power_on()
    await device.start_advertising(auto_restart=True)
    print("peripheral up", central.name, flush=True)
    number = 0
    while True:
        await asyncio.sleep(0.5)
        number = (number + 1) % 10_000
        humidity.value = number.to_bytes(2, "little")
        await device.notify_subscribers(humidity)


asyncio.run(main())
