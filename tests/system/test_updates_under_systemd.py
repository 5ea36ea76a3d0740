"""Updates of an installed gateway under a real systemd, from a bundle and without any link to the world."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import parts
from tests.support.eventually import wait_until
from tests.support.plant import Plant
from tests.support.processes import ROOT, Processes
from tests.support.releases import Releases
from tests.system import updated
from tests.system.container import Container
from tests.system.updated import FIELDPOST, Site, job_of
from tests.unit.ota.publisher import Maker


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory, releases: Releases) -> Iterator[Container]:
    processes = Processes(tmp_path_factory.mktemp("container"))
    made = updated.boot(processes, tmp_path_factory.mktemp("work"), releases)
    yield made
    made.close()
    processes.end_all()


@pytest.fixture
def site(container: Container, releases: Releases, make_plant: Callable[..., Plant]) -> Iterator[Site]:
    """Reads two devices; no uplink."""
    made = Site(container, releases, make_plant(2))
    made.start({})
    yield made
    container.run("systemctl", "stop", "fieldpost", check=False)


def test_a_good_release_is_staged_tried_and_kept(site: Site) -> None:
    check = "#!/bin/sh\nid -un > /var/lib/fieldpost/checked\ntouch /etc/fieldpost/x 2>/dev/null || exit 0\nexit 1\n"
    site.container.write("/etc/fieldpost/health.d/10-own", check)
    site.container.run("chmod", "755", "/etc/fieldpost/health.d/10-own")
    site.send("1.0.1", selftest=updated.CONFINED)
    job = site.ended("1.0.1")
    assert job["outcome"] == "SUCCEEDED", site.said()
    assert job["gates"]["scripts"] == "ok"
    assert job["gates"]["confirmed_offline"] is True, "nobody could be reached before either"
    assert site.container.run("cat", "/var/lib/fieldpost/checked").strip() == "fieldpost"
    site.runs("1.0.1")
    shown = site.ota("status")
    assert (shown["phase"], shown["scripts"]) == ("PROBATION", ["10-own"])
    assert site.container.show("fieldpost", "ActiveState") == "active"
    assert site.event("1.0.1")["state"] == "succeeded"
    floors = json.loads(site.container.run("cat", "/var/lib/fieldpost-floor/floors.json"))
    assert floors["snapshot"] >= 1


def test_the_gateways_user_cannot_change_what_starts_next(site: Site) -> None:
    code = ("/opt/fieldpost/x", "/opt/fieldpost/releases/x", "/opt/fieldpost/state/state.json",
            "/opt/fieldpost/state/accepted.json", "/var/lib/fieldpost-floor/x")  # fmt: skip
    others = ("/run/fieldpost-slot/selected", "/etc/fieldpost/health.d/x")
    process = site.container.show("fieldpost", "MainPID")
    inside = ("nsenter", "-t", process, "-m")
    as_user = (*inside, "runuser", "-u", "fieldpost", "--", "touch", *code, *others)
    said = site.container.run(*as_user, check=False)
    assert said.count("cannot touch") == len(code) + len(others), said
    said = site.container.run(*inside, "touch", *code, check=False)
    assert said.count("Read-only file system") == len(code), f"not even root within its sandbox: {said}"


def test_a_release_that_never_confirms_is_taken_back_by_the_timer_and_others_cannot_do_it_for_it(site: Site) -> None:
    before = site.ota("status")["good"]
    site.send("1.6.0", updated.NEVER_CONFIRMS, confirm_s=25)
    wait_until(lambda: site.ota("status")["running"].startswith("1.6.0"), 90, every=0.3, why=site.said)
    slot = site.ota("status")["running"]
    stranger = f'echo "{{\\"slot\\": \\"{slot}\\", \\"pid\\": $$}}" > /run/fieldpost/confirm'
    site.container.run("runuser", "-u", "fieldpost", "--", "/bin/sh", "-c", stranger)
    job = site.ended("1.6.0")
    assert (job["outcome"], job["reason"]) == ("ROLLED_BACK", "deadline"), site.said()
    site.runs(before)

    def refused() -> list[str]:
        entries = json.loads(site.container.run(FIELDPOST, "audit", "--json", check=False) or "{}")
        return [one["text"] for one in entries.get("entries", []) if one["what"] == "ota_confirm_refused"]

    (text,) = wait_until(refused, 30, every=0.5, why=site.said)
    assert text.startswith("a confirmation by process ")
    assert site.event("1.6.0")["detail"]["rolled_back"] is True
    assert job_of("1.6.0") == site.event("1.6.0")["job"]


COUNTER = """
from gateway.driver import Columns, DriverSpec, NoKeys, PollingDriver, Request
from gateway.model import Block

class Counter(PollingDriver):
    count = 0
    async def connect(self, ctx): pass
    async def close(self): pass
    def plan(self, device, tags): return [Request(Block(device.id, [tag]), None, "") for tag in tags]
    async def read(self, request):
        self.count += 1
        return Columns([self.count])

SPEC = DriverSpec("acme", NoKeys, NoKeys, NoKeys, create=Counter)
"""


def test_a_driver_of_a_vendor_comes_as_a_package_is_tried_and_reads(site: Site, tmp_path: Path) -> None:
    if not site.ota("status")["good"].startswith("1."):
        site.send("1.0.9")
        site.runs("1.0.9")
    maker, publisher = Maker(tmp_path), site.releases.publisher
    publisher.admit(maker)
    package = maker.driver("2.0", source=COUNTER)
    publisher.publish(maker)
    site.install(publisher.bundle(package), "2.0")
    assert (site.ended("2.0")["reason"], site.ota("status")["drivers"]) == ("allow", [])
    site.start({"ota": {"drivers": {"allow": ["acme/*"]}}})
    site.install(publisher.bundle(package), "2.0.1")
    job = site.ended("2.0.1")
    assert job["outcome"] == "SUCCEEDED", site.said()
    shown = site.ota("status")
    assert (shown["drivers"], shown["good"]) == (["acme/acme-driver 2.0"], job["slot"])
    channel = {"driver": "acme", "devices": {"counter": {"interval": "200ms", "tags": {"n": {"type": "int32"}}}}}
    site.container.write("/etc/fieldpost/channels/acme.yaml", yaml.safe_dump(channel))
    site.container.run("chown", "root:fieldpost", "/etc/fieldpost/channels/acme.yaml")
    site.container.run(FIELDPOST, "apply")
    wait_until(lambda: site.status()["channels"].get("acme", {}).get("state") == "online", 30, why=site.said)


def test_the_updaters_unit_has_no_unknown_key_and_little_exposure(tmp_path: Path) -> None:
    unit = tmp_path / "fieldpost-update.service"
    text = (ROOT / "systemd" / unit.name).read_text(encoding="utf-8")
    unit.write_text(text.replace("/usr/lib/fieldpost/slot-exec", "/bin/true"))
    analyze = parts.command("systemd-analyze")
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line] == []
    argv = [analyze, "security", "--offline=true", "--threshold=12", str(unit)]
    scored = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert scored.returncode == 0, scored.stdout[-500:] + scored.stderr
