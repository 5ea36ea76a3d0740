"""Updates of an installed gateway under a real systemd, from a bundle and without any link to the world."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.eventually import wait_until
from tests.support.plant import Plant
from tests.support.processes import Processes
from tests.support.releases import Releases
from tests.system import updated
from tests.system.container import Container
from tests.system.updated import FIELDPOST, Site, job_of


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases(tmp_path_factory.mktemp("releases"))


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
    site.send("1.1.0")
    job = site.ended("1.1.0")
    assert job["outcome"] == "SUCCEEDED", site.said()
    assert job["gates"]["scripts"] == "ok"
    assert job["gates"]["confirmed_offline"] is True, "nobody could be reached before either"
    assert site.container.run("cat", "/var/lib/fieldpost/checked").strip() == "fieldpost"
    site.runs("1.1.0")
    shown = site.ota("status")
    assert (shown["phase"], shown["scripts"]) == ("PROBATION", ["10-own"])
    assert site.container.show("fieldpost", "ActiveState") == "active"
    assert site.event("1.1.0")["state"] == "succeeded"
    floors = json.loads(site.container.run("cat", "/var/lib/fieldpost-floor/floors.json"))
    assert floors["snapshot"] >= 1


def test_the_gateways_user_cannot_change_what_starts_next(site: Site) -> None:
    code = ("/opt/fieldpost/x", "/opt/fieldpost/releases/x", "/opt/fieldpost/state/state.json",
            "/var/lib/fieldpost-floor/x")  # fmt: skip
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
