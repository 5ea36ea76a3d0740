"""The Debian package on a fresh Debian without network: install, upgrade, remove, purge; BlueZ may be asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dbus_fast import BusType
from dbus_fast.aio import MessageBus

from tests.support import parts
from tests.support.plant import Plant
from tests.support.processes import ROOT, Processes
from tests.support.releases import Releases
from tests.system.machine import Machine, booted

ONLY_ROOT_AND_ITS_FRIENDS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy context="default"><deny send_destination="org.bluez"/></policy>
  <policy user="root"><allow own="org.bluez"/><allow send_destination="org.bluez"/></policy>
</busconfig>
"""
PING = ("dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/", "org.freedesktop.DBus.Peer.Ping")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, releases: Releases) -> list[Path]:
    """Two versions, each with all that it needs."""
    out, made = tmp_path_factory.mktemp("packages"), []
    for version in ("0.8.0", "0.8.1"):
        wheels = releases.wheels(version)
        env = {**os.environ, "WHEELS": str(wheels), "PY": sys.executable}
        argv = [str(ROOT / "packaging/debian/build.sh"), str(out)]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "next: " not in done.stderr, "what to do with a folder that is gone"
        made.append(Path(done.stdout.strip()))
    return made


def test_nothing_in_the_package_is_against_debians_rules(packages: list[Path]) -> None:
    argv = [parts.command("lintian"), "--profile", "debian", "--fail-on", "error", str(packages[0])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_installed_upgraded_removed_and_purged_without_network(
    processes: Processes, packages: list[Path], releases: Releases, make_plant: Callable[..., Plant], tmp_path: Path
) -> None:
    plant, root = make_plant(2), tmp_path / "1.root.json"
    root.write_bytes(releases.publisher.factory_root)
    first, second = (f"/media/{path.name}" for path in packages)
    with booted(processes, [*packages, root]) as machine:
        machine.run("ln", "-s", "/opt/fieldpost/current/venv/bin/fieldpost", "/usr/local/bin/fieldpost")
        assert "first systemd/install.sh --uninstall" in machine.offline("dpkg", "-i", first, check=False)
        machine.install("--uninstall")
        assert machine.found() == []
        said = machine.offline("dpkg", "-i", first)
        assert "fieldpost: changed 0.8.0-" in said
        assert "systemctl enable --now fieldpost" in said
        assert "use apt install" in machine.install("--uninstall", check=False)
        assert machine.install("--trust", "/media/1.root.json") == "write /usr/share/fieldpost/tuf/root.json\n"
        machine.configure(plant)
        machine.run("systemctl", "enable", "--now", "fieldpost")
        machine.polls(plant)
        process = machine.container.show("fieldpost", "MainPID")
        machine.run("dpkg-reconfigure", "fieldpost")
        assert machine.asked("ota", "status")["running"].startswith("0.8.0-")
        stored = machine.asked("journal")

        assert "fieldpost: changed 0.8.1-" in machine.offline("dpkg", "-i", second)
        assert machine.asked("ota", "status")["running"].startswith("0.8.1-")
        machine.run("cmp", "/usr/share/fieldpost/tuf/root.json", "/media/1.root.json")
        assert machine.container.show("fieldpost", "MainPID") != process
        machine.polls(plant)
        assert "fieldpost: unchanged 0.8.1-" in machine.offline("dpkg", "-i", first), "what is newer stays"
        assert machine.asked("journal")["epoch"] == stored["epoch"]
        asyncio.run(_bluez(machine))

        machine.run("dpkg", "-r", "fieldpost")
        assert machine.state() == "inactive"
        kept = machine.found()
        assert {"/etc/fieldpost", "/var/lib/fieldpost", "/var/lib/fieldpost-floor"} <= set(kept)
        assert [path for path in kept if path.startswith(("/opt", "/usr"))] == []
        assert "fieldpost: changed 0.8.1-" in machine.offline("dpkg", "-i", second)
        machine.run("systemctl", "start", "fieldpost")
        machine.polls(plant)
        assert machine.asked("journal")["epoch"] == stored["epoch"]
        machine.run("dpkg", "-P", "fieldpost")
        assert machine.found() == []


async def _bluez(machine: Machine) -> None:
    """The package's policy lets its user ask BlueZ where nobody else may."""
    machine.container.write("/etc/dbus-1/system.d/test.conf", ONLY_ROOT_AND_ITS_FRIENDS)
    machine.run("systemctl", "reload", "dbus")
    address = f"unix:path=/proc/{machine.container.init}/root/run/dbus/system_bus_socket"
    bus = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
    try:
        await bus.request_name("org.bluez")
        ours = ("runuser", "-u", "fieldpost", "--", *PING)
        theirs = ("runuser", "-u", "nobody", "--", *PING)
        assert "method return" in await asyncio.to_thread(machine.run, *ours)
        assert "AccessDenied" in await asyncio.to_thread(machine.run, *theirs, check=False)
    finally:
        bus.disconnect()
