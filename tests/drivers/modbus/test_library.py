"""Every profile of the library against raw registers written down from the makers' documents.

The registers in `library/*.yaml` are put together by hand: they are the check that scale, sign, word order and place
are right. A device simulated from the same profile is a smoke test of the rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from drivers.modbus.simulator import Faults, Image, Unit
from drivers.modbus.simulator.server import Server
from gateway.library import profile_texts
from gateway.model import Block, ChannelSpec, Device, Tag
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from tests.drivers.modbus.kit import driver_on

LIBRARY = profile_texts("modbus")
GOLDEN = Path(__file__).parent / "library"


def channel_with(name: str, port: int = 1, **params) -> tuple[ChannelSpec, Device]:
    device = {"unit_id": 1, "profile": name, **({"params": params} if params else {})}
    channel = {"driver": "modbus", "url": f"tcp://127.0.0.1:{port}", "timeout": "5s", "devices": {"d": device}}
    tree = {
        "gateway.yaml": b"gateway: {id: x}\n",
        f"profiles/{name}.yaml": LIBRARY[name].encode(),
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


def test_the_library_has_meters_inverters_drives_a_heat_pump_and_a_plc():
    assert len(LIBRARY) >= 14
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(LIBRARY)


@pytest.mark.parametrize("name", sorted(LIBRARY))
async def test_a_profile_reads_what_the_documents_say(name):
    golden = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    params = golden.get("params", {})
    spec, _ = channel_with(name, **params)
    unit = Unit(Image(spec, spec.devices[0], static=True), Faults())
    for table, cells in unit.image.cells.items():
        cells.update(dict.fromkeys(cells, 0))
        for first, words in golden.get(table.value, {}).items():
            for place, word in enumerate(words, first):
                assert place in cells, f"{table}/{place} belongs to no tag"
                cells[place] = word
    found, planned, asked = await read(name, unit, **params)
    assert {path: found[path][0] for path in golden["expect"]} == golden["expect"]
    assert planned == asked == golden["requests"]


@pytest.mark.parametrize("name", sorted(LIBRARY))
async def test_a_simulated_device_answers_every_tag_of_its_profile(name):
    found, _, _ = await read(name)
    assert found
    assert {path for path, (_, code) in found.items() if code} == set()


def test_profiles_say_who_made_the_device_and_what_was_checked():
    for name, text in LIBRARY.items():
        meta = yaml.safe_load(text)[name]["meta"]
        assert {"maker", "model", "document", "checked"} <= set(meta), name


def test_the_page_of_profiles_lists_them_all():
    page = (Path(__file__).parents[3] / "docs/reference/profiles.md").read_text()
    for name, text in LIBRARY.items():
        meta = yaml.safe_load(text)[name]["meta"]
        assert f"| `{name}` | {meta['maker']} | {meta['model']} |" in page


def test_the_library_is_part_of_an_installation():
    code = "from gateway.library import profile_texts; print(len(profile_texts('modbus')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert int(done.stdout) == len(LIBRARY)
