"""install.sh on a fresh Debian that has no network: install, again, upgrade, uninstall, a second box of a backup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.eventually import wait_until
from tests.support.mosquitto import Broker
from tests.support.plant import Plant
from tests.support.processes import Processes
from tests.support.releases import Releases
from tests.support.sink import Sink
from tests.system.machine import booted
from tests.unit.ota.publisher import Publisher


@pytest.fixture(scope="module")
def first(releases: Releases) -> Path:
    return releases.make("0.9.0")


@pytest.fixture(scope="module")
def trust(releases: Releases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("root") / "1.root.json"
    path.write_bytes(releases.publisher.factory_root)
    return path


def test_from_a_bundle_to_a_running_service_an_upgrade_and_back_to_nothing(
    processes: Processes, releases: Releases, first: Path, trust: Path, make_plant: Callable[..., Plant],
    tmp_path: Path,
) -> None:  # fmt: skip
    plant, second = make_plant(2), releases.make("0.9.1")
    other = tmp_path / "other.root.json"
    other.write_bytes(Publisher(tmp_path / "other").factory_root)
    with booted(processes, [first, second, trust, other]) as machine:
        words = ("--bundle", f"/media/{first.name}", "--trust", "/media/1.root.json")
        before = machine.fingerprint()
        assert "would: install release 0.9.0-" in machine.install(*words, "--dry-run")
        assert machine.fingerprint() == before, "a dry run writes nothing"
        assert "whose signatures count is not known" in machine.install(*words[:2], check=False)
        said = machine.install(*words)
        assert "install release 0.9.0-" in said
        assert "next: edit /etc/fieldpost" in said
        assert machine.state() == "inactive"
        machine.run("fieldpost", "check", "--config", "/etc/fieldpost")

        machine.configure(plant)
        machine.run("systemctl", "enable", "--now", "fieldpost")
        machine.polls(plant)
        before, process = machine.fingerprint(), machine.container.show("fieldpost", "MainPID")
        assert "nothing to do: 0.9.0-" in machine.install(*words)
        assert machine.fingerprint() == before
        assert machine.container.show("fieldpost", "MainPID") == process
        stored = machine.asked("journal")

        refused = machine.install(*words[:2], "--trust", "/media/other.root.json", check=False)
        assert "the metadata is refused" in refused
        assert machine.fingerprint() == before, "whose releases count is as before"
        said = machine.install("--bundle", f"/media/{second.name}")  # it knows by now whom to trust
        assert "restart the gateway" in said
        assert machine.asked("ota", "status")["running"].startswith("0.9.1-")
        machine.polls(plant)
        assert machine.asked("ota", "status")["prev"].startswith("0.9.0-")

        machine.install("--uninstall")
        assert machine.state() in {"inactive", "failed"}
        assert machine.found() == ["/etc/fieldpost", "/var/lib/fieldpost", "/var/lib/fieldpost-floor"]
        assert "nothing to remove" in machine.install("--uninstall")
        refused = machine.install(*words, check=False)
        assert "this machine has seen a newer set (timestamp" in refused, (
            "what was trusted once is remembered over an uninstallation"
        )
        machine.install("--bundle", f"/media/{second.name}", "--trust", "/media/1.root.json")
        machine.run("systemctl", "enable", "--now", "fieldpost")
        machine.polls(plant)
        again = machine.asked("journal")
        assert again["epoch"] == stored["epoch"]
        assert again["streams"]["telemetry"]["last"] > stored["streams"]["telemetry"]["last"]

        machine.install("--uninstall", "--purge")
        assert machine.found() == []
        assert "fieldpost" not in machine.run("cat", "/etc/passwd", "/etc/group")


def test_from_a_folder_of_wheels_with_opt_on_a_disk_of_its_own_and_nothing_half_done(
    processes: Processes, releases: Releases
) -> None:
    wheels = releases.wheels("0.9.2")
    with booted(processes, [wheels]) as machine:
        machine.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/opt")
        words = ("--wheelhouse", f"/media/{wheels.name}")
        machine.container.write("/etc/fieldpost/channels/line.yaml", "driver: sim\n")
        before = machine.fingerprint()
        assert "has files but no gateway.yaml" in machine.install(*words, check=False)
        assert machine.fingerprint() == before
        machine.run("rm", "-r", "/etc/fieldpost")

        machine.run("/bin/sh", "-c", f"cp -r /media/{wheels.name} /root/wheels && rm /root/wheels/msgspec*")
        said = machine.install("--wheelhouse", "/root/wheels", check=False)
        assert "what ran before runs on" in said
        assert "msgspec" in said
        assert "Traceback" not in said
        assert machine.run("/bin/sh", "-c", "ls -A /opt/fieldpost/releases") == ""

        assert "install release 0.9.2-" in machine.install(*words)
        assert "nothing to do: 0.9.2-" in machine.install(*words)
        assert machine.run("stat", "-f", "-c", "%T", "/opt/fieldpost/releases").strip() == "tmpfs"
        machine.run("systemctl", "enable", "--now", "fieldpost")
        assert machine.state() == "active"


def test_a_second_box_made_of_a_backup_goes_on_and_no_number_has_two_contents(
    processes: Processes, first: Path, trust: Path, make_plant: Callable[..., Plant], broker: Broker,
    make_sink: Callable[..., Sink], tmp_path: Path,
) -> None:  # fmt: skip
    plant, sink = make_plant(2), make_sink(broker.port)
    uplinks = {"cloud": {"urls": [broker.url]}}
    words = ("--bundle", f"/media/{first.name}", "--trust", "/media/1.root.json")
    password = tmp_path / "password"
    password.write_text("secret\n")
    with booted(processes, [first, trust, password]) as machine:
        machine.install(*words)
        machine.configure(plant, uplinks=uplinks)
        machine.run("systemctl", "start", "fieldpost")
        machine.polls(plant)
        machine.run("fieldpost", "backup", "/root/box", "--password-file", "/media/password")
        machine.polls(plant, 6)  # the second box knows nothing of these
        old = machine.asked("journal")["epoch"]
        wait_until(lambda: len(sink.snapshot().numbers) > 0, 30)
        backup = tmp_path / "box"
        backup.write_bytes(machine.container.read("/root/box"))
    with booted(processes, [first, trust, password, backup]) as machine:
        machine.install(*words, "--no-init")
        machine.run("fieldpost", "restore", "/media/box", "--password-file", "/media/password")
        machine.run("systemctl", "start", "fieldpost")
        machine.polls(plant)
        assert machine.asked("status")["gateway"] == "gw"
        new = machine.asked("journal")["epoch"]
        assert new > old
        wait_until(lambda: {epoch for _, epoch in sink.snapshot().numbers} >= {old, new}, 30)
        assert sink.snapshot().conflicts == []
        assert sink.errors == []
