"""The driver on the machine that runs the tests."""

from __future__ import annotations

import os
import socket

import pytest
import yaml

from drivers.system import SPEC
from drivers.system.driver import SystemDriver
from gateway.fake_context import FakeContext
from gateway.library import profile_texts
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from gateway.testing import examine
from tests.drivers.system.kit import ask, channel, read


async def test_it_keeps_the_contract_of_drivers(tmp_path):
    spec = channel("cpu/usage", "memory/available", "disk/free", "clock/synced", "system/hostname", "process/loop_lag")
    report = await examine(SPEC, spec, unreachable=channel("cpu/usage", root=tmp_path))
    assert report.findings == []
    assert {"read", "unreachable", "cancel-read", "leaks", "away-and-back"}.isdisjoint(report.skipped)


async def test_this_machine_tells_what_every_machine_has():
    found = await read(
        "cpu/usage", "cpu/count", "load/1m", "memory/total", "memory/used_percent", "disk/total", "disk/used_percent",
        "system/uptime", "system/hostname", "net/lo/rx_bytes", "net/lo/ipv4", "process/rss_anon", "process/fds",
        "process/threads", "process/uptime", "process/loop_lag", "clock/offset",
    )  # fmt: skip
    assert {address for address, (_, quality) in found.items() if quality != "good"} == set()
    values = {address: value for address, (value, _) in found.items()}
    assert 0 <= values["cpu/usage"] <= 100
    assert values["cpu/count"] >= 1
    assert values["system/hostname"] == socket.gethostname()
    assert values["net/lo/ipv4"] == "127.0.0.1"
    disk = os.statvfs("/")
    assert values["disk/total"] == disk.f_blocks * disk.f_frsize
    assert 0 < values["process/uptime"] <= values["system/uptime"]
    assert values["process/rss_anon"] > 1_000_000


def _but_value(item):
    """Without what may have changed between two looks: the counters of `lo` do."""
    return {key: value for key, value in item.items() if key != "value"}


async def test_browsing_lists_what_the_machine_has_and_its_keys_are_tags_that_can_be_read():
    async with FakeContext(channel()) as context:
        driver = SystemDriver()
        await driver.connect(context)
        items = [item async for item in driver.browse({})]
        part = [item async for item in driver.browse({"at": "net/lo", "filter": "*bytes"})]
        assert [item["path"] for item in part] == ["net/lo/rx_bytes", "net/lo/tx_bytes"]
        assert all(_but_value(item) in map(_but_value, items) for item in part), "a part is shown as it is in the whole"
        top = [item["path"] async for item in driver.browse({"depth": 1})]
        assert top[0] == "cpu"
        assert all("/" not in path for path in top)
        with pytest.raises(ValueError, match="there is no option speed"):
            _ = [item async for item in driver.browse({"speed": 1})]
    figures = [item for item in items if item["kind"] == "variable"]
    assert {"cpu/usage", "disk/free", "net/lo/rx_bytes"} <= {item["address"] for item in figures}
    told = {item["address"] for item in figures if "value" in item}
    addresses = tuple(item["keys"]["address"] for item in figures if item["address"] in told)
    found = await read(*addresses)
    assert {quality for _, quality in found.values()} == {"good"}


async def test_the_shipped_profile_loads_and_what_it_reads_is_good_but_for_the_sensor_a_machine_may_lack():
    device = {"profile": "gateway"}
    tree = {
        "gateway.yaml": b"gateway: {id: x}\n",
        "profiles/gateway.yaml": profile_texts("system")["gateway"].encode(),
        "channels/me.yaml": yaml.safe_dump({"driver": "system", "devices": {"gateway": device}}).encode(),
    }
    spec = load_files(tree, Registry().load, env={}, credentials=CredentialFolders(None, None)).channels[0]
    async with FakeContext(spec) as context:
        driver = SystemDriver()
        await driver.connect(context)
        device = context.devices[0]
        rows = {}
        for request in driver.plan(device, device.tags):
            columns = await driver.read(request)
            codes = columns.quality or [0] * len(columns.values)
            rows |= {tag.path: code for tag, code in zip(request.block.tags, codes, strict=True)}
        assert {path for path, code in rows.items() if code} <= {"cpu/temperature"}


async def test_a_share_of_time_is_that_since_the_look_before(tmp_path):
    from tests.drivers.system.kit import machine

    root = machine(tmp_path)
    addresses = ("cpu/usage", "cpu/1/usage", "cpu/9/usage")
    async with FakeContext(channel(*addresses, root=root)) as context:
        driver = SystemDriver()
        await driver.connect(context)
        machine(root, proc__stat="cpu  150 0 150 900 0 0 0 0\ncpu0 50 0 50 500 0 0 0 0\ncpu1 100 0 100 400 0 0 0 0\n")
        found = await ask(driver, context, addresses)
    assert found["cpu/usage"] == (50.0, "good")
    assert found["cpu/1/usage"] == (100.0, "good")
    assert found["cpu/9/usage"] == (None, "bad/config")
