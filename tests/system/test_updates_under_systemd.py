"""Updates of an installed gateway under a real systemd, while it polls: one that is good and three that are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.support import counting
from tests.support.eventually import wait_until
from tests.support.plant import Plant
from tests.support.processes import Processes
from tests.support.releases import Releases
from tests.system import installed
from tests.system.container import Container

FIELDPOST = "/opt/fieldpost/current/venv/bin/fieldpost"
HEALTH = {"confirm_s": 60, "soak_s": 2, "tries": 3}
LOSES_THE_CHANNELS = "sys.modules['pymodbus'] = sys.modules['drivers.modbus.driver'] = None"
CRASHES_ONCE_CONFIRMED = (
    "import threading; (Path(sys.prefix).parent / '.confirmed').exists()"
    " and threading.Timer(1.5, os._exit, (9,)).start()"
)


def _job(version: str) -> str:
    return "to-" + version.replace(".", "-")


class Site:
    """One installed gateway."""

    def __init__(self, container: Container, releases: Releases, plant: Plant) -> None:
        self.container, self.releases, self.plant = container, releases, plant

    def send(self, version: str, fault: str = "", **health: int) -> None:
        """Have a release installed; returns at once."""
        bundle = self.releases.make(version, fault, **{**HEALTH, **health})
        self.container.put(bundle, "/root/release.fpb")
        self.container.run(FIELDPOST, "ota", "install", "/root/release.fpb", "--job", _job(version), "--no-wait")

    def ota(self, action: str) -> Any:
        return json.loads(self.container.run(FIELDPOST, "ota", action, "--json"))

    def ended(self, version: str) -> dict[str, Any]:
        """How the job of a version ended."""

        def row() -> dict[str, Any] | None:
            jobs = self.ota("history")["jobs"]
            return next((job for job in jobs if job["job"] == _job(version)), None)

        return wait_until(row, 150, every=0.5, why=self.said)

    def runs(self, version: str) -> None:
        def there() -> bool:
            shown = self.ota("status")
            return shown["running"].startswith(version) and shown["good"].startswith(version)

        wait_until(there, 90, every=0.5, why=self.said)
        polls = self.plant.counts()
        wait_until(lambda: all(count > polls[unit] + 2 for unit, count in self.plant.counts().items()), 30)

    def said(self) -> str:
        units = [
            word for name in ("", "-update", "-confirm", "-trial", "-fallback") for word in ("-u", f"fieldpost{name}")
        ]
        state = self.container.run("cat", "/opt/fieldpost/state/state.json", check=False)
        return state + self.container.run("journalctl", *units, "--no-pager", "-n", "60", check=False)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases(tmp_path_factory.mktemp("releases"))


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory, releases: Releases) -> Iterator[Container]:
    processes = Processes(tmp_path_factory.mktemp("container"))
    made = installed.boot(processes, tmp_path_factory.mktemp("release"))
    made.write(
        "/etc/systemd/system/fieldpost-trial.timer.d/test.conf",
        "[Timer]\nOnActiveSec=3\nOnUnitActiveSec=3\nAccuracySec=1s\n",
    )
    made.run("systemctl", "daemon-reload")
    root = tmp_path_factory.mktemp("root") / "root.json"
    root.write_bytes(releases.publisher.factory_root)
    made.put(root, "/usr/share/fieldpost/tuf/root.json")
    yield made
    made.close()
    processes.end_all()


@pytest.fixture
def site(container: Container, releases: Releases, make_plant: Callable[..., Plant]) -> Iterator[Site]:
    """Reads two devices as whatever version the test before has left, with an empty state."""
    plant = make_plant(2)
    container.run("/bin/sh", "-c", "rm -rf /var/lib/fieldpost/* /etc/fieldpost/*", check=False)
    container.run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/fieldpost.conf")
    main = {"gateway": {"id": "gw"}, "store": {"path": "/var/lib/fieldpost"}, "uplinks": {}}
    container.write("/etc/fieldpost/gateway.yaml", yaml.safe_dump(main))
    container.write("/etc/fieldpost/profiles/counter.yaml", yaml.safe_dump(counting.profile(5)))
    for line in range(2):
        content = yaml.safe_dump(counting.channel(plant, line, interval="250ms"))
        container.write(f"/etc/fieldpost/channels/line{line:02d}.yaml", content)
    container.run("chown", "-R", "fieldpost:fieldpost", "/etc/fieldpost")
    container.run("systemctl", "reset-failed", "fieldpost", check=False)
    container.run("systemctl", "restart", "fieldpost")
    made = Site(container, releases, plant)
    status = lambda: json.loads(container.run(FIELDPOST, "status", "--json"))["channels"]  # noqa: E731
    wait_until(lambda: all(one["state"] == "online" for one in status().values()), 30, every=0.3)
    yield made
    container.run("systemctl", "stop", "fieldpost", check=False)


def test_a_good_release_is_staged_tried_and_kept(site: Site) -> None:
    site.send("1.1.0")
    job = site.ended("1.1.0")
    assert job["outcome"] == "SUCCEEDED", site.said()
    site.runs("1.1.0")
    assert site.ota("status")["phase"] == "PROBATION"
    assert site.container.show("fieldpost", "ActiveState") == "active"
    command = (
        "touch /opt/fieldpost/x /opt/fieldpost/releases/x /opt/fieldpost/state/state.json /var/lib/fieldpost-floor/x"
    )
    said = site.container.run("runuser", "-u", "fieldpost", "--", "/bin/sh", "-c", command, check=False)
    assert said.count("Permission denied") == 4, said
    floors = json.loads(site.container.run("cat", "/var/lib/fieldpost-floor/floors.json"))
    assert floors["snapshot"] >= 1


def test_a_release_that_ends_at_its_start_is_taken_back(site: Site) -> None:
    before = site.ota("status")["good"]
    site.send("1.2.0", "os._exit(3)")
    job = site.ended("1.2.0")
    assert (job["outcome"], job["reason"]) == ("ROLLED_BACK", "tries"), site.said()
    site.runs(before)


def test_a_release_that_loses_what_worked_is_taken_back_by_the_timer(site: Site) -> None:
    before = site.ota("status")["good"]
    site.send("1.5.0", LOSES_THE_CHANNELS, confirm_s=20)
    wait_until(lambda: site.ota("status")["gates"].get("channels") == "not up again: line00, line01", 90, every=0.5)
    job = site.ended("1.5.0")
    assert (job["outcome"], job["reason"]) == ("ROLLED_BACK", "deadline"), site.said()
    site.runs(before)


def test_a_release_that_crashes_after_its_confirmation_is_taken_back(site: Site) -> None:
    before = site.ota("status")["good"]
    site.send("1.4.0", CRASHES_ONCE_CONFIRMED)
    assert site.ended("1.4.0")["outcome"] == "SUCCEEDED", site.said()
    site.container.run("systemctl", "reset-failed", "fieldpost", check=False)
    site.container.run("systemctl", "restart", "fieldpost", check=False)
    wait_until(lambda: site.ended("1.4.0")["outcome"] == "ROLLED_BACK", 120, every=1, why=site.said)
    site.runs(before)
    assert site.ended("1.4.0")["reason"] in {"failed", "unclean"}
