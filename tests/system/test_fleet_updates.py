"""A fleet's updates from end to end under a real systemd: releases of a changed checkout, signed; a gateway that polls
and delivers; what becomes of a good release and of those that misbehave, as the cloud learns it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from tests.system.updated import REGISTERS, Site, job_of


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


class FleetSite(Site):
    """A site with its broker, and who listens there."""

    def __init__(self, container: Container, releases: Releases, plant: Plant, sink: Sink) -> None:
        super().__init__(container, releases, plant)
        self.sink = sink

    def told(self, version: str, state: str) -> dict[str, Any]:
        """The entry by which the cloud learns how an update ended."""

        def entry() -> dict[str, Any] | None:
            books = self.sink.snapshot().numbers.items()
            entries = [entry for (stream, _), book in books if stream == "event" for entry in book.values()]
            wanted = ("job", job_of(version), state)
            return next((one for one in entries if (one.get("kind"), one.get("job"), one.get("state")) == wanted), None)

        return wait_until(entry, 60, every=0.3, why=self.said)


@pytest.fixture
def site(
    container: Container,
    releases: Releases,
    make_plant: Callable[..., Plant],
    make_broker: Callable[..., Broker],
    make_sink: Callable[..., Sink],
) -> Iterator[FleetSite]:
    """Reads two devices and delivers to a broker."""
    broker = make_broker()
    sink = make_sink(broker.port)
    made = FleetSite(container, releases, make_plant(2), sink)
    made.start({"uplinks": {"cloud": {"urls": [broker.url], "codec": "json"}}})
    wait_until(lambda: sink.received() > 0, 30)
    yield made
    container.run("systemctl", "stop", "fieldpost", check=False)


def _complete(site: FleetSite) -> None:
    """The gateway stops, and all that it ever read is with the cloud, or waits for the next start."""
    site.container.run("systemctl", "stop", "fieldpost")
    counts, losses = site.plant.counts(), Losses()
    losses.in_flight(counts)
    site.container.run("systemctl", "start", "fieldpost")

    def open_points() -> list[str]:
        return counting.problems(site.sink.snapshot(), counts, losses, registers=REGISTERS)

    wait_until(lambda: not open_points(), 60, every=0.3, why=lambda: "; ".join(open_points()))


def test_a_good_release_is_kept_while_the_gateway_polls_and_nothing_is_missing(site: FleetSite) -> None:
    site.plant.watch_gaps()
    site.send("1.1.0")
    job = site.ended("1.1.0")
    assert job["outcome"] == "SUCCEEDED", site.said()
    assert "confirmed_offline" not in job["gates"]
    site.runs("1.1.0")
    print(f"longest time between two polls: {max(site.plant.longest_gaps().values()):.1f} s")
    assert site.told("1.1.0", "succeeded")["detail"]["gates"]["uplinks"] == "ok"
    _complete(site)


def test_a_release_that_a_job_names_is_fetched_and_kept(
    container: Container,
    releases: Releases,
    make_plant: Callable[..., Plant],
    make_broker: Callable[..., Broker],
    make_sink: Callable[..., Sink],
) -> None:
    broker = make_broker()
    sink = make_sink(broker.port)
    site = FleetSite(container, releases, make_plant(2), sink)
    cloud = JobCloud(broker.port)
    releases.make("1.1.5", **updated.HEALTH)
    with serving_tree(releases.publisher.folder / "repo") as server:
        uplinks = {"cloud": {"urls": [broker.url], "codec": "json"}}
        site.start({"uplinks": uplinks, "ota": {"url": server.url, "jitter": "0s", "max_rate": "20MB"}})
        wait_until(lambda: sink.received() > 0, 30)
        site.plant.watch_gaps()
        cloud.put("by-job", "ota", {"target": "releases/fieldpost-1.1.5.json"})
        told = cloud.end("by-job", 150)
        assert told["state"] == "succeeded", f"{told} {site.said()}"
        assert (told["detail"]["to"], told["detail"]["gates"]["uplinks"]) == ("1.1.5", "ok")
        told = [status["step"] for status in cloud.statuses["by-job"]]
        assert sorted(set(told), key=told.index) == ["accepted", "metadata", "download", "stage", "trial"]
        cloud.put("too-late", "ota", {"target": "releases/fieldpost-1.1.5.json"}, ver=2, exp=1)
        assert cloud.end("too-late")["detail"]["code"] == 408
    site.runs("1.1.5")
    print(f"longest time between two polls: {max(site.plant.longest_gaps().values()):.1f} s")
    owner = container.run("stat", "-c", "%U", "/var/lib/fieldpost/ota/request.json").strip()
    assert owner == "fieldpost"
    cloud.close()
    _complete(site)


def _taken_back(site: FleetSite, version: str, fault: str, **health: int) -> dict[str, Any]:
    before = site.ota("status")["good"]
    site.send(version, fault, **health)
    assert site.ended(version)["outcome"] == "ROLLED_BACK", site.said()
    site.runs(before)
    detail: dict[str, Any] = site.told(version, "failed")["detail"]
    assert detail["rolled_back"] is True
    assert before in detail["other"]
    return detail


def test_a_release_that_ends_at_its_start_is_taken_back(site: FleetSite) -> None:
    detail = _taken_back(site, "1.2.0", updated.EXITS)
    assert detail["text"] == "3 starts without a confirmation"
    _complete(site)


def test_a_release_that_hangs_at_its_start_is_taken_back_after_three_timeouts(site: FleetSite) -> None:
    detail = _taken_back(site, "1.3.0", updated.HANGS, confirm_s=300)
    assert (detail["reason"], detail["text"]) == ("tries", "3 starts without a confirmation")
    assert site.container.journal("fieldpost").count("start operation timed out") == 3
    _complete(site)


def test_a_release_that_crashes_once_it_is_confirmed_is_taken_back(site: FleetSite) -> None:
    before = site.ota("status")["good"]
    site.send("1.4.0", updated.CRASHES_ONCE_CONFIRMED)
    site.told("1.4.0", "succeeded")
    wait_until(lambda: site.ended("1.4.0")["outcome"] == "ROLLED_BACK", 120, every=1, why=site.said)
    site.runs(before)
    detail = site.told("1.4.0", "failed")["detail"]
    assert detail["rolled_back"] is True
    assert detail["text"] == "it ended 5 times by itself after it was confirmed"


def test_a_release_that_loses_a_channel_is_taken_back(site: FleetSite) -> None:
    detail = _taken_back(site, "1.5.0", updated.LOSES_A_CHANNEL, confirm_s=20)
    assert (detail["reason"], detail["gates"]) == ("deadline", {"channels": "not up again: line01"})


def test_a_release_that_loses_its_link_is_taken_back(site: FleetSite) -> None:
    detail = _taken_back(site, "1.7.0", updated.LOSES_ITS_UPLINK, confirm_s=20)
    assert (detail["reason"], detail["gates"]) == ("deadline", {"uplinks": "not up again: cloud"})
    _complete(site)
