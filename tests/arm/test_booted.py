"""The gateway on a booted arm64 Debian without network: installed, updated, killed, rebooted, taken away (`make test-arm`).

The core's own tests run on aarch64 in arm64.sh; here it is what only a booted system has: its kernel, its systemd with the
sandbox of the units, udev, memory that is counted. Emulated, so 10 to 20 times slower than a gateway: times are shown,
never asserted.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.arm.guest import Guest
from tests.support import counting, plant_server
from tests.support.eventually import wait_until
from tests.support.parts import require
from tests.support.processes import ROOT, Processes
from tests.support.releases import Machines, Releases
from tests.support.serial_line import SerialLine, value_at
from tests.system.machine import Machine

DEBIAN_12 = Machines("aarch64", (3, 11))
KEPT = ["/etc/fieldpost", "/var/lib/fieldpost", "/var/lib/fieldpost-floor"]
UNITS = [word for name in ("", "-update", "-confirm", "-trial", "-fallback") for word in ("-u", f"fieldpost{name}")]
BEGIN = time.monotonic()


def say(text: str) -> None:
    print(f"arm64 {time.monotonic() - BEGIN:5.0f} s: {text}", flush=True)


class GuestsPlant:
    """Two simulated Modbus devices in the guest, which has no other way to any. Each register carries its device's poll
    count, so the value that the gateway read last is the count.
    """

    lines, ports = [[1], [1]], [1502, 1503]

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def start(self) -> None:
        spec = json.dumps({"lines": self.lines, "ports": self.ports})
        self._machine.run("systemd-run", "--quiet", "--unit=plant", "/usr/bin/python3", "/media/plant_server.py", spec)

    def counts(self) -> dict[counting.Unit, int]:
        """Of good values that were read lately."""
        rows = {row["device"]: row for row in self._machine.asked("tags")["tags"] if row["tag"] == "r000"}
        units = [(line, unit) for line, ids in enumerate(self.lines) for unit in ids]
        good = {unit for unit in units if rows.get(counting.device(unit), {}).get("quality") == "good"}
        assert good == set(units), rows
        return {unit: rows[counting.device(unit)]["value"] for unit in units}


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """What is carried to the machine: the installer, two releases for it, whose signatures count."""
    require("root", "qemu-system-aarch64", "qemu-aarch64-static", "mmdebstrap", "mkfs.ext4", "depmod")
    say("making two signed releases for aarch64 out of the locked wheels")
    releases, folder = Releases(tmp_path / "releases", DEBIAN_12), tmp_path / "media"
    shutil.copytree(ROOT / "systemd", folder / "systemd", ignore=shutil.ignore_patterns("__pycache__"))
    for version in ("0.9.0", "0.9.1"):
        shutil.move(releases.make(version, soak_s=20), folder / f"{version}.fpb")
    (folder / "1.root.json").write_bytes(releases.publisher.factory_root)
    shutil.copy(Path(plant_server.__file__), folder)
    return folder


@pytest.fixture
def line() -> Iterator[SerialLine]:
    with SerialLine() as line:
        yield line


@pytest.fixture
def machine(processes: Processes, tmp_path: Path, media: Path, line: SerialLine) -> Iterator[Machine]:
    guest = Guest(processes, tmp_path, media, line.port, say)
    yield Machine(guest)
    guest.close()


def test_install_update_kill_reboot_and_removal_on_a_booted_arm64_machine(machine: Machine, line: SerialLine) -> None:
    plant = GuestsPlant(machine)
    install(machine)
    machine.configure(plant)
    with_serial_line(machine)
    plant.start()
    say("starting the service: enable --now returns when it is ready")
    machine.run("systemctl", "enable", "--now", "fieldpost")
    assert machine.state() == "active"
    polls(machine, plant)
    reads_the_line(machine, line)
    confined(machine)
    figures(machine)
    stored = machine.asked("journal")

    update(machine)
    polls(machine, plant)
    figures(machine)

    say("killing the gateway")
    process = machine.container.show("fieldpost", "MainPID")
    machine.run("/bin/sh", "-c", f"kill -9 {process}")
    wait_until(lambda: machine.state() == "active" and machine.container.show("fieldpost", "MainPID") != process, 60)
    polls(machine, plant)

    say("rebooting the machine")
    machine.container.reboot()
    plant.start()
    wait_until(lambda: machine.state() == "active", 60, every=1, why=lambda: said(machine))
    polls(machine, plant)
    reads_the_line(machine, line)
    assert machine.asked("ota", "status")["good"].startswith("0.9.1-")
    later = machine.asked("journal")
    assert later["epoch"] == stored["epoch"]
    assert later["streams"]["telemetry"]["last"] > stored["streams"]["telemetry"]["last"]
    figures(machine)
    remove(machine)
    say("nothing of it is left")


def install(machine: Machine) -> None:
    """From a bundle to a release that may be started."""
    words = ("--bundle", "/media/0.9.0.fpb", "--trust", "/media/1.root.json")
    say("install.sh from the bundle (at most 1800 s)")
    assert "install release 0.9.0-" in machine.install(*words)
    say("fieldpost check")
    machine.run("fieldpost", "check", "--config", "/etc/fieldpost")


def with_serial_line(machine: Machine) -> None:
    """A second kind of channel: RTU at the USB adapter."""
    tags = {"r7": {"address": "holding/7", "type": "uint16"}}
    device = {"unit_id": 2, "interval": "1s", "tags": tags}
    channel = {"driver": "modbus", "serial": {"port": "/dev/ttyUSB0", "line": "9600-8E1"}, "devices": {"meter": device}}
    machine.container.write("/etc/fieldpost/channels/serial.yaml", yaml.safe_dump(channel))
    machine.run("chown", "root:fieldpost", "/etc/fieldpost/channels/serial.yaml")
    machine.run("fieldpost", "check", "--config", "/etc/fieldpost")


def reads_the_line(machine: Machine, line: SerialLine) -> None:
    """Through the kernel's driver of the adapter, the rule of udev and what the sandbox lets through of devices."""
    seen = len(line.log)

    def row() -> Any:
        (one,) = machine.asked("tags", "meter.r7")["tags"]
        return one if one["quality"] == "good" and len(line.log) > seen else None

    found = wait_until(row, 60, every=2, why=lambda: said(machine))
    assert found["value"] == value_at(2, 7)
    assert machine.run("stat", "-c", "%U %G %a", "/dev/ttyUSB0").strip() == "root dialout 660"
    # by the rule, also for an adapter that was there before it was installed
    assert machine.run("cat", "/sys/class/tty/ttyUSB0/device/latency_timer").strip() == "1"
    assert "ID_MM_PORT_IGNORE=1" in machine.run("udevadm", "info", "-q", "property", "/dev/ttyUSB0")
    say("read the device at the USB adapter")


def update(machine: Machine) -> None:
    """By the updater's unit: verified and staged in its sandbox, tried, confirmed."""
    say("updating to 0.9.1: verify, stage, self-test, trial (at most 1500 s)")
    machine.run("fieldpost", "ota", "install", "/media/0.9.1.fpb", "--job", "to-0-9-1", "--no-wait")

    def ended() -> Any:
        return next((job for job in machine.asked("ota", "history")["jobs"] if job["job"] == "to-0-9-1"), None)

    # each look is a start of Python, which takes from what the updater, with little priority, needs here
    job = wait_until(ended, 300, every=20, why=lambda: said(machine))
    assert job["outcome"] == "SUCCEEDED", said(machine)
    shown = machine.asked("ota", "status")
    assert [shown[name].split("-")[0] for name in ("running", "good", "prev")] == ["0.9.1", "0.9.1", "0.9.0"]
    say(f"confirmed {shown['running']}, gates {job['gates']}")


def remove(machine: Machine) -> None:
    """First what was installed, then what it left."""
    say("uninstalling")
    machine.install("--uninstall")
    assert machine.state() in {"inactive", "failed"}
    assert machine.found() == KEPT
    machine.install("--uninstall", "--purge")
    assert machine.found() == []
    assert "fieldpost" not in machine.run("cat", "/etc/passwd", "/etc/group")


def polls(machine: Machine, plant: GuestsPlant) -> None:
    """Each device is read again and again."""
    wait_until(plant.counts, 60, every=2, why=lambda: said(machine))
    machine.polls(plant)
    say(f"polled {plant.counts()}")


def confined(machine: Machine) -> None:
    """The sandbox of the unit is in force on this processor: what the kernel says of the running process."""
    process = machine.container.show("fieldpost", "MainPID")
    lines = machine.run("cat", f"/proc/{process}/status").splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1"), "a filter of system calls"
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")] == [0, 0, 0, 0]
    touch = ("nsenter", "-t", process, "-m", "touch", "/opt/fieldpost/x", "/usr/x")
    assert machine.run(*touch, check=False).count("Read-only file system") == 2


def figures(machine: Machine) -> None:
    """Shows what it needs here, and that its limit of memory was enough."""
    show = machine.container.show
    begun, ready = (int(show("fieldpost", f"{name}TimestampMonotonic")) for name in ("ExecMainStart", "ActiveEnter"))
    lines = machine.run("cat", f"/proc/{show('fieldpost', 'MainPID')}/status").splitlines()
    memory = ", ".join(" ".join(line.split()) for line in lines if line.startswith(("VmRSS", "RssAnon", "VmHWM")))
    group = f"/sys/fs/cgroup{show('fieldpost', 'ControlGroup')}"
    peak, events = machine.run("cat", f"{group}/memory.peak", f"{group}/memory.events").split("\n", 1)
    say(f"ready after {(ready - begun) / 1e6:.1f} s; {memory}; memory.peak {int(peak) / 1e6:.0f} MB")
    assert "oom_kill 0" in events, events


def said(machine: Machine) -> str:
    return machine.run("journalctl", *UNITS, "--no-pager", "-n", "80", check=False)
