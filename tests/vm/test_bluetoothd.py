"""The gateway with real bleak, real bluetoothd and the kernel's Bluetooth, in a virtual machine (`make test-vm`; FL-38).

VM_ACCEL=kvm makes it quick where /dev/kvm works, which a device file alone does not tell.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.parts import require

HERE = Path(__file__).resolve().parent
GUEST = Path(os.environ.get("VM_GUEST", HERE.parents[1] / ".vm-guest"))


def test_scan_connect_read_write_notify_and_a_restart_with_real_bluetoothd(tmp_path):
    require("qemu-system-x86_64", "bluetoothd", "depmod", "dbus-daemon", "bleak", "bumble")
    subprocess.run([str(HERE / "prepare.sh"), str(GUEST)], check=True, timeout=400)
    (tmp_path / "settings").write_text(f"PY={sys.executable}\nHERE={HERE}\n")
    done = subprocess.run(
        [str(HERE / "run_guest.sh"), str(GUEST), str(tmp_path), str(HERE / "guest.sh")],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=400, check=False,
    )  # fmt: skip
    console = done.stdout.decode(errors="replace").replace("\r", "")
    print(console[-12_000:])
    print(done.stderr.decode(errors="replace")[-2_000:])
    steps = re.findall(r"^inside +[\d.]+ s: (ok \w+)", console, re.MULTILINE)
    assert steps == [
        "ok advert", "ok read", "ok notify", "ok scan", "ok write", "ok bluetoothd", "ok bluetoothd", "ok end",
    ]  # fmt: skip
    assert re.search(r"ok advert 25.06 rssi -\d+", console)
    assert "ok read 23.2" in console
    assert "F0:F1:F2:F3:F4:F5" in next(line for line in console.splitlines() if "ok scan" in line)
    assert "'verified': True" in next(line for line in console.splitlines() if "ok write" in line)
    assert "ok end 0" in console
    assert "gateway status 0" in console
