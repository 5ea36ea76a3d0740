"""A system driver on a machine: the real one, or a folder that looks like one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivers.system import SPEC
from drivers.system.address import parse
from drivers.system.driver import SystemDriver
from drivers.system.settings import ChannelSettings, DeviceSettings, TagSettings
from gateway.fake_context import FakeContext
from gateway.model import ChannelSpec, DeviceSpec, Quality, Schedule, TagSpec, ValueType

FILES = {
    "proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0\nintr 1 2\n",
    "proc/meminfo": "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 250 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\n",
    "proc/loadavg": "0.50 0.25 0.10 1/100 4242\n",
    "proc/uptime": "1000.50 1900.00\n",
    "proc/sys/kernel/hostname": "gw-7\n",
    "proc/sys/kernel/osrelease": "6.1.0\n",
    "proc/net/if_inet6": "fe800000000000000000000000000001 02 40 20 80 eth0\nfd000000000000000000000000000002 02 40 00 80 eth0\n",
    "proc/self/mountinfo": (
        "22 1 8:1 / / rw - ext4 /dev/root rw\n23 22 0:21 / /proc rw - proc proc rw\n"
        "24 22 8:2 / /data\\040two rw shared:1 - ext4 /dev/sda2 rw\n25 22 0:30 / /mnt/far rw - nfs4 srv:/x rw\n"
    ),
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12"\n',
    "sys/class/net/eth0/statistics/rx_bytes": "123456789012\n",
    "sys/class/net/eth0/statistics/tx_errors": "7\n",
    "sys/class/net/eth0/operstate": "up\n",
    "sys/class/net/eth0/speed": "1000\n",
    "sys/class/net/eth0/address": "02:00:00:00:00:01\n",
    "sys/class/net/wlan0/operstate": "down\n",
    "sys/class/net/wlan0/speed": "-1\n",
}


def machine(root: Path, **more: str) -> Path:
    """A folder with these files and `more` (names with `__` for `/`)."""
    for name, text in {**FILES, **{key.replace("__", "/"): value for key, value in more.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def channel(*addresses: str, root: Path | str = "/", timeout_s: float = 2.0, **types: str) -> ChannelSpec:
    """A channel with a tag for each address, of its natural type unless `types` says another by place (`t0`)."""
    specs = []
    for place, address in enumerate(addresses):
        kind = types.get(f"t{place}") or parse(address).meaning.type
        specs.append(TagSpec(f"t{place}", ValueType(kind), TagSettings(address)))
    device = DeviceSpec("gw", DeviceSettings(), tuple(specs), Schedule(1.0))
    return ChannelSpec("me", "system", ChannelSettings(str(root)), (device,), timeout_s=timeout_s)


async def read(*addresses: str, root: Path | str = "/", **more: Any) -> dict[str, tuple[Any, str]]:
    """Value and quality by address, read once."""
    spec = channel(*addresses, root=root, **more)
    async with FakeContext(spec) as context:
        driver = SystemDriver()
        await driver.connect(context)
        try:
            return await ask(driver, context, addresses)
        finally:
            await driver.close()


async def ask(driver: SystemDriver, context: Any, addresses: tuple[str, ...]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    device = context.devices[0]
    for request in driver.plan(device, device.tags):
        columns = await driver.read(request)
        codes = columns.quality or [0] * len(columns.values)
        rows = zip(request.block.tags, columns.values, codes, strict=True)
        found |= {addresses[int(tag.path[1:])]: (value, Quality(code).text) for tag, value, code in rows}
    return found


__all__ = ["SPEC", "ask", "channel", "machine", "read"]
