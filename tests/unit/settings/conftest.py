"""A small driver of the tests' own, and trees in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.driver import Driver, DriverSpec, Fault
from gateway.errors import ConfigError, Problem
from gateway.model import ChannelSpec
from gateway.settings.credentials import CredentialError
from gateway.settings.loader import load_files
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


@pytest.fixture
def load() -> Load:
    """Load files given by path; `gateway.yaml` may be left out."""

    def run(
        files: Mapping[str, str | bytes] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        **more: Any,
    ) -> GatewaySettings:
        tree = {"gateway.yaml": GATEWAY, **(files or {})}
        return load_files(tree, {"toy": TOY}, env=env or {}, credentials=Secrets(secrets), **more)

    return run


@pytest.fixture
def faults(load: Load) -> Faults:
    """The problems of files that must not load."""

    def run(*args: Any, **more: Any) -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **more)
        return caught.value.problems

    return run


def channel(devices: str = "  pump: {unit: 1, tags: {speed: {address: 1, type: uint16}}}\n", head: str = "") -> str:
    """A channel file of the toy driver."""
    return f"driver: toy\nurl: toy://1\n{head}devices:\n{devices}"
