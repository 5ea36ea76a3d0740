"""A small driver of the tests' own, secrets from memory, and texts of small trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from gateway.driver import Driver, DriverSpec, Fault
from gateway.errors import Problem
from gateway.model import ChannelSpec
from gateway.settings.credentials import CredentialError
from gateway.settings.types import GatewaySettings

GATEWAY = "gateway: {id: plant-7}\n"


class ToyChannel(msgspec.Struct, frozen=True):
    url: str
    order: str = "AB"
    password: str | None = None


class ToyDevice(msgspec.Struct, frozen=True):
    unit: int = 1
    order: str | None = None
    forbidden: tuple[str, ...] = ()


class ToyTag(msgspec.Struct, frozen=True):
    address: int | str
    order: str | None = None
    length: int = 0


def toy_check(channel: ChannelSpec) -> Iterable[Fault]:
    """Units below 0 and addresses above 99 do not exist."""
    for device in channel.devices:
        if device.settings.unit < 0:
            yield Fault(f"devices.{device.id}.unit", "there is no such unit", "unit: 1")
        for tag in device.tags:
            if isinstance(tag.source.address, int) and tag.source.address > 99:
                yield Fault(f"devices.{device.id}.tags.{tag.path}.address", "beyond the last address")


def never() -> Driver:
    raise AssertionError("loading never makes a driver")


TOY = DriverSpec(name="toy", channel=ToyChannel, device=ToyDevice, tag=ToyTag, create=never, check=toy_check)


class Secrets:
    """Credentials from memory."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})

    def path(self, name: str) -> Path:
        self.read(name)
        return Path("/credentials") / name

    def read(self, name: str) -> str:
        if name not in self.values:
            raise CredentialError(f"there is no credential `{name}`", "make it")
        return self.values[name]


Load = Callable[..., GatewaySettings]
Faults = Callable[..., list[Problem]]


def channel(devices: str = "  pump: {unit: 1, tags: {speed: {address: 1, type: uint16}}}\n", head: str = "") -> str:
    """A channel file of the toy driver."""
    return f"driver: toy\nurl: toy://1\n{head}devices:\n{devices}"
