"""A fleet's updates from end to end under a real systemd: releases of a changed checkout, signed and published; a gateway
that polls and delivers; `fieldpost fleet deploy`, and what it says of a good release and of those that misbehave.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import counting
from tests.support.counting import Losses
from tests.support.eventually import wait_until
from tests.support.job_cloud import JobCloud
from tests.support.mosquitto import Broker
from tests.support.plant import Plant
from tests.support.processes import Processes
from tests.support.releases import Releases
from tests.support.sink import Sink
from tests.support.treeserver import serving_tree
from tests.system import updated
from tests.system.container import Container
from tests.system.updated import HEALTH, REGISTERS, Site, job_of

_OPERATOR = str(Path(sys.executable).with_name("fieldpost"))


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory, releases: Releases) -> Iterator[Container]:
    processes = Processes(tmp_path_factory.mktemp("container"))
    made = updated.boot(processes, tmp_path_factory.mktemp("work"), releases)
    yield made
    made.close()
    processes.end_all()


class FleetSite(Site):
    """A site with its broker, who listens there, and the operator with his notes."""

    def __init__(self, site: Site, broker: Broker, sink: Sink, notes: Path) -> None:
        super().__init__(site.container, site.releases, site.plant)
        self.broker, self.sink, self._notes = broker, sink, notes

    def deploy(self, version: str, fault: str = "", **health: int) -> dict[str, Any]:
        """Publish a release and bring it to the gateway; what the operator is told of it at the end."""
        self.releases.make(version, fault, **{**HEALTH, **health})
        self.forget_starts()
        argv = [_OPERATOR, "fleet", "deploy", version, "--to", "gw", "--canary", "1", "--id", job_of(version)]
        argv += ["--url", self.broker.url, "--records", str(self._notes), "--within", "3m", "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
        assert done.stdout, done.stderr + self.said()
        answer = json.loads(done.stdout.splitlines()[-1])
        assert done.returncode == (0 if answer["ok"] else 1), done
        (row,) = answer["gateways"]
        assert row["gateway"] == "gw"
        return dict(row)

    def told(self, version: str, state: str) -> dict[str, Any]:
        """The entry of the journal, as it came over the broker, of how a job ended."""

        def entry() -> dict[str, Any] | None:
            books = self.sink.snapshot().numbers.items()
            entries = [entry for (stream, _), book in books if stream == "event" for entry in book.values()]
            wanted = ("job", job_of(version), state)
            return next((one for one in entries if (one.get("kind"), one.get("job"), one.get("state")) == wanted), None)

        return wait_until(entry, 60, every=0.3, why=self.said)

    def complete(self) -> None:
        """The gateway stops, and all that it ever read is with the cloud, or comes with the next start."""
        self.container.run("systemctl", "stop", "fieldpost")
        counts, losses = self.plant.counts(), Losses()
        losses.in_flight(counts)
        self.container.run("systemctl", "start", "fieldpost")

        def open_points() -> list[str]:
            return counting.problems(self.sink.snapshot(), counts, losses, registers=REGISTERS)

        wait_until(lambda: not open_points(), 60, every=0.3, why=lambda: "; ".join(open_points()))


@pytest.fixture
def site(
    container: Container,
    releases: Releases,
    make_plant: Callable[..., Plant],
    make_broker: Callable[..., Broker],
    make_sink: Callable[..., Sink],
    tmp_path: Path,
) -> Iterator[FleetSite]:
    """Reads two devices, delivers to a broker, and gets its releases from a web server."""
    broker = make_broker()
    sink = make_sink(broker.port)
    made = FleetSite(Site(container, releases, make_plant(2)), broker, sink, tmp_path / "notes")
    with serving_tree(releases.publisher.folder / "repo") as server:
        uplinks = {"cloud": {"urls": [broker.url], "codec": "json"}}
        made.start({"uplinks": uplinks, "ota": {"url": server.url, "jitter": "0s"}})
        wait_until(lambda: sink.received() > 0, 30)
        yield made
        container.run("systemctl", "stop", "fieldpost", check=False)


def test_a_good_release_is_kept_while_the_gateway_polls_and_nothing_is_missing(site: FleetSite) -> None:
    site.plant.watch_gaps()
    cloud = JobCloud(site.broker.port)
    row = site.deploy("1.1.0")
    assert row["state"] == "succeeded", (row, site.said())
    assert row["detail"]["to"] == "1.1.0"
    assert row["detail"]["gates"]["uplinks"] == "ok"
    assert "confirmed_offline" not in row["detail"]
    steps = [status["step"] for status in cloud.statuses[job_of("1.1.0")]]
    assert sorted(set(steps), key=steps.index) == ["accepted", "metadata", "download", "stage", "trial"]
    cloud.put("too-late", "ota", {"target": "releases/fieldpost-1.1.0.json"}, ver=2, exp=1)
    assert cloud.end("too-late")["detail"]["code"] == 408
    cloud.close()
    site.runs("1.1.0")
    owner = site.container.run("stat", "-c", "%U", "/var/lib/fieldpost/ota/request.json").strip()
    assert owner == "fieldpost"
    print(f"longest time between two polls: {max(site.plant.longest_gaps().values()):.1f} s")
    site.told("1.1.0", "succeeded")
    site.complete()


def _taken_back(site: FleetSite, version: str, fault: str, **health: int) -> dict[str, Any]:
    before = site.ota("status")["good"]
    row = site.deploy(version, fault, **health)
    assert (row["state"], row["detail"]["rolled_back"]) == ("failed", True), (row, site.said())
    site.runs(before)
    assert site.ended(version)["outcome"] == "ROLLED_BACK"
    site.told(version, "failed")
    return row


def test_a_release_that_ends_at_its_start_is_taken_back(site: FleetSite) -> None:
    row = _taken_back(site, "1.2.0", updated.EXITS)
    assert (row["detail"]["reason"], row["text"]) == ("tries", "3 starts without a confirmation")
    site.complete()


def test_a_release_that_hangs_at_its_start_is_taken_back_after_three_timeouts(site: FleetSite) -> None:
    row = _taken_back(site, "1.3.0", updated.HANGS, confirm_s=300)
    assert (row["detail"]["reason"], row["text"]) == ("tries", "3 starts without a confirmation")
    assert site.container.journal("fieldpost").count("start operation timed out") == 3
    site.complete()


def test_a_release_that_crashes_once_it_is_confirmed_is_taken_back(site: FleetSite) -> None:
    before = site.ota("status")["good"]
    row = site.deploy("1.4.0", updated.CRASHES_ONCE_CONFIRMED)
    assert row["state"] == "succeeded", "its job had ended well"
    wait_until(lambda: site.ended("1.4.0")["outcome"] == "ROLLED_BACK", 120, every=1, why=site.said)
    site.runs(before)
    detail = site.told("1.4.0", "failed")["detail"]
    assert detail["rolled_back"] is True
    assert detail["text"] == "it ended 5 times by itself after it was confirmed"


def test_a_release_that_loses_a_channel_is_taken_back(site: FleetSite) -> None:
    row = _taken_back(site, "1.5.0", updated.LOSES_A_CHANNEL, confirm_s=20)
    assert row["detail"]["gates"] == {"channels": "not up again: line01"}
    assert row["detail"]["text"] == "no confirmation within 20 s (channels: not up again: line01)"
    assert row["detail"]["reason"] == "deadline"


def test_a_release_that_loses_its_link_is_taken_back(site: FleetSite) -> None:
    row = _taken_back(site, "1.7.0", updated.LOSES_ITS_UPLINK, confirm_s=20)
    assert row["detail"]["gates"] == {"uplinks": "not up again: cloud"}
    site.complete()
