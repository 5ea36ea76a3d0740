"""Machines that lack things, have strange ones, or have a file system that does not answer."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from drivers.system import mounts
from drivers.system.driver import SystemDriver
from gateway.errors import LinkLost
from gateway.fake_context import FakeContext
from tests.drivers.system.kit import ask, channel, machine, read


async def test_figures_of_a_machine_are_those_of_its_files(tmp_path):
    root = machine(tmp_path)
    found = await read(
        "cpu/count", "load/5m", "memory/total", "memory/used_percent", "swap/used", "system/uptime", "system/hostname",
        "system/os", "net/eth0/rx_bytes", "net/eth0/tx_errors", "net/eth0/up", "net/eth0/speed", "net/eth0/mac",
        "net/eth0/ipv6", "net/wlan0/up",
        root=root,
    )  # fmt: skip
    assert {address: value for address, (value, _) in found.items()} == {
        "cpu/count": 2, "load/5m": 0.25, "memory/total": 1_024_000, "memory/used_percent": 75.0, "swap/used": 61_440,
        "system/uptime": 1000.5, "system/hostname": "gw-7", "system/os": "Debian GNU/Linux 12",
        "net/eth0/rx_bytes": 123_456_789_012, "net/eth0/tx_errors": 7, "net/eth0/up": True, "net/eth0/speed": 1000.0,
        "net/eth0/mac": "02:00:00:00:00:01", "net/eth0/ipv6": "fd00::2", "net/wlan0/up": False,
    }  # fmt: skip


async def test_what_a_machine_does_not_have_is_bad_config_with_a_reason_and_the_rest_is_read(tmp_path):
    addresses = (
        "temperature/cpu",
        "net/eth9/rx_bytes",
        "net/wlan0/speed",
        "cpu/frequency",
        "disk:/none/free",
        "load/1m",
    )
    async with FakeContext(channel(*addresses, root=machine(tmp_path))) as context:
        driver = SystemDriver()
        await driver.connect(context)
        found = await ask(driver, context, addresses)
        assert driver.counters() == {"disk_timeouts": 0, "not_there": 5}
    assert found.pop("load/1m") == (0.5, "good")
    assert set(found.values()) == {(None, "bad/config")}


@pytest.mark.parametrize(
    ("files", "address", "value"),
    [
        ({"thermal_zone0/type": "acpitz", "thermal_zone0/temp": "20000"}, "temperature/cpu", None),
        ({"thermal_zone0/type": "cpu-thermal", "thermal_zone0/temp": "48312"}, "temperature/cpu", 48.312),
        (
            {"thermal_zone0/type": "acpitz", "thermal_zone0/temp": "1", "thermal_zone1/type": "x86_pkg_temp",
             "thermal_zone1/temp": "-5000"},
            "temperature/cpu", -5.0,
        ),
        (
            {"thermal_zone0/type": "gpu", "thermal_zone0/temp": "1000", "thermal_zone1/type": "gpu",
             "thermal_zone1/temp": "2000"},
            "temperature/gpu-2", 2.0,
        ),
        ({"../hwmon/hwmon3/name": "k10temp", "../hwmon/hwmon3/temp1_label": "Tctl", "../hwmon/hwmon3/temp1_input": "61250"},
         "temperature/cpu", 61.25),
        ({"thermal_zone0/type": "cpu-thermal", "thermal_zone0/temp": "nonsense"}, "temperature/cpu", None),
    ],
)  # fmt: skip
async def test_sensors_are_found_under_the_names_that_makers_give_them(tmp_path, files, address, value):
    (tmp_path / "sys/class/thermal").mkdir(parents=True)
    root = machine(tmp_path, **{f"sys/class/thermal/{name}": text for name, text in files.items()})
    assert (await read(address, root=root))[address] == (value, "bad/config" if value is None else "good")


async def test_a_figure_that_its_type_cannot_hold_is_bad_range_and_not_wrapped(tmp_path):
    found = await read("net/eth0/rx_bytes", root=machine(tmp_path), t0="uint32")
    assert found["net/eth0/rx_bytes"] == (None, "bad/range")


async def test_the_tree_of_an_odd_machine_names_its_mount_points_as_they_are(tmp_path):
    async with FakeContext(channel(root=machine(tmp_path))) as context:
        driver = SystemDriver()
        await driver.connect(context)
        items = {item["path"]: item async for item in driver.browse({"at": "disk"})}
    assert items["disk/data two/free"]["address"] == "disk:/data two/free"
    assert "disk/proc/free" not in items
    assert "disk/mnt_far/free" in items


async def test_a_file_system_that_hangs_costs_its_own_tags_only_and_one_thread(tmp_path, monkeypatch):
    """What an NFS server that is gone does: statvfs does not come back."""
    root = machine(tmp_path)
    (root / "mnt/far").mkdir(parents=True)
    gone, asked = threading.Event(), []
    real = os.statvfs

    def statvfs(path):
        asked.append(str(path))
        if str(path).endswith("far"):
            gone.wait(30)
        return real(path)

    monkeypatch.setattr(mounts.os, "statvfs", statvfs)
    addresses = ("disk:/mnt/far/free", "disk/free", "memory/total")
    try:
        async with FakeContext(channel(*addresses, root=root, timeout_s=0.5)) as context:
            driver = SystemDriver()
            await driver.connect(context)
            for _ in range(3):
                found = await ask(driver, context, addresses)
                assert found["disk:/mnt/far/free"] == (None, "bad/comm")
                assert found["disk/free"][1] == found["memory/total"][1] == "good"
            assert sum(path.endswith("far") for path in asked) == 1
            gone.set()
            async with asyncio.timeout(10):
                while (await ask(driver, context, addresses))["disk:/mnt/far/free"][1] != "good":
                    await asyncio.sleep(0.01)
    finally:
        gone.set()


async def test_a_root_without_proc_is_a_lost_link(tmp_path):
    async with FakeContext(channel("cpu/usage", root=tmp_path)) as context:
        with pytest.raises(LinkLost):
            await SystemDriver().connect(context)
