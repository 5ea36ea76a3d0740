"""A device simulated from each Modbus profile of the library answers over the wire: a smoke test besides its cases."""

from __future__ import annotations

import json

import pytest

from drivers.modbus.simulator import Faults, Image, Unit
from drivers.modbus.simulator.server import Server
from gateway.cli.profiletests.sources import library
from gateway.model import Block, ChannelSpec, Device, Tag
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from tests.drivers.modbus.kit import driver_on

LIBRARY = {source.name: source for source in library(["modbus"])}


def channel_with(name: str, port: int = 1, **params) -> tuple[ChannelSpec, Device]:
    device = {"unit_id": 1, "profile": name, **({"params": params} if params else {})}
    channel = {"driver": "modbus", "url": f"tcp://127.0.0.1:{port}", "timeout": "5s", "devices": {"d": device}}
    tree = {
        "gateway.yaml": b"gateway: {id: x}\n",
        **LIBRARY[name].files,
        "channels/line.yaml": json.dumps(channel).encode(),
    }
    spec = load_files(tree, Registry().load, env={}, credentials=CredentialFolders(None, None)).channels[0]
    own = spec.devices[0]
    tags = tuple(Tag("d", tag.path, number, number, tag) for number, tag in enumerate(own.tags))
    return spec, Device("d", spec.id, own, tags)


async def read(name: str, unit: Unit | None = None, **params):
    """(values and qualities by path, number of requests) of a profile on a simulated unit."""
    spec, device = channel_with(name, **params)
    unit = unit or Unit(Image(spec, spec.devices[0]), Faults())
    async with Server({1: unit}, unit.faults).tcp("127.0.0.1", 0) as port:
        spec, device = channel_with(name, port, **params)
        async with driver_on(spec, device) as driver:
            requests = driver.plan(device, [tag for tag in device.tags if tag.spec.access != "w"])
            found = {}
            for request in requests:
                columns = await driver.read(request)
                codes = columns.quality or [0] * len(columns.values)
                found |= {
                    tag.path: (value, code)
                    for tag, value, code in zip(request.block.tags, columns.values, codes, strict=True)
                }
            assert all(isinstance(request.block, Block) for request in requests)
            return found, len(requests), unit.total


@pytest.mark.parametrize("name", sorted(LIBRARY))
async def test_a_simulated_device_answers_every_tag_of_its_profile(name):
    found, planned, asked = await read(name)
    assert found
    assert {path for path, (_, code) in found.items() if code} == set()
    assert planned == asked
