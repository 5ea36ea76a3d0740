"""What goes wrong with Bluetooth on Linux, in words, with what helps."""

from __future__ import annotations

import asyncio

from msgspec import Struct


class Failure(Struct, frozen=True):
    """A reason and what a person can do about it."""

    text: str
    repair: str
    silent: bool = False
    """There is no adapter to hear with: nothing can come until a person has done something."""


class BluetoothAway(Exception):
    """Bluetooth cannot be used now."""

    def __init__(self, text: str, repair: str, *, silent: bool = False) -> None:
        super().__init__(text)
        self.failure = Failure(text, repair, silent)


NO_BUS = Failure(
    "there is no D-Bus to reach BlueZ by",
    "apt install dbus bluez; in a container mount /run/dbus/system_bus_socket into it",
)
NO_BLUEZ = Failure("BlueZ does not run", "systemctl enable --now bluetooth (apt install bluez)")
DENIED = Failure("D-Bus does not let this user speak to BlueZ", "usermod -aG bluetooth with the service's user")
BUS_LOST = Failure("the connection to D-Bus was lost", "it is tried again; look at `systemctl status dbus`")
BLUEZ_LOST = Failure("BlueZ has stopped", "it is tried again; look at `systemctl status bluetooth`")
ADAPTER_LOST = Failure("the adapter was taken away", "plug it in again", silent=True)
ADAPTER_OFF = Failure("the adapter is switched off", "bluetoothctl power on; rfkill unblock bluetooth", silent=True)


def failure_of(error: BaseException) -> Failure:
    """What an error of bleak, dbus-fast or the system means."""
    if isinstance(error, BluetoothAway):
        return error.failure
    name = str(getattr(error, "dbus_error", "") or getattr(error, "type", ""))
    text = str(error)
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return NO_BUS
    if "ServiceUnknown" in name or "ServiceUnknown" in text or "NameHasNoOwner" in name or "Spawn" in name:
        return NO_BLUEZ
    if "AccessDenied" in name or "AuthFailed" in name or isinstance(error, PermissionError):
        return DENIED
    if "NotReady" in name:
        return ADAPTER_OFF
    if "InProgress" in name:
        return Failure("BlueZ is busy with the same thing", "it is tried again; one channel for each adapter")
    if isinstance(error, asyncio.TimeoutError):
        return Failure("BlueZ does not answer", "systemctl restart bluetooth")
    if isinstance(error, EOFError | ConnectionError):
        return BUS_LOST
    return Failure(f"{text or type(error).__name__}", "look at `systemctl status bluetooth` and `bluetoothctl show`")
