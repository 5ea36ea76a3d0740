"""Jobs from the broker to their end, with the installed gateway and a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.job_cloud import JobCloud
from tests.support.mosquitto import Broker


@pytest.fixture
def cloud(broker: Broker) -> Iterator[JobCloud]:
    cloud = JobCloud(broker.port)
    yield cloud
    cloud.close()


def _window_in(hours: int) -> str:
    """An hour that is not now, in UTC."""
    begin, end = (time.strftime("%H:00", time.gmtime(time.time() + each * 3600)) for each in (hours, hours + 1))
    return f"{begin}-{end}"


def test_jobs_of_two_brokers_outlive_a_kill_are_taken_back_and_a_restart_is_done_once(
    make_gateway: Callable[..., Gateway], make_broker: Callable[..., Broker], cloud: JobCloud, broker: Broker
) -> None:
    other = make_broker()
    plant = JobCloud(other.port, name="plant-cloud")
    gateway = make_gateway()
    gateway.write_main(uplinks={"cloud": {"urls": [broker.url]}, "plant": {"urls": [other.url], "client_id": "gw-b"}})
    gateway.start()
    cloud.put("r1", "restart", {"window": _window_in(6)})
    wait_until(lambda: cloud.statuses.get("r1", [{}])[-1].get("step") == "waiting", 20, why="it waits for its hour")
    assert gateway.status()["job"] == {"id": "r1", "op": "restart", "state": "in_progress", "step": "waiting"}
    plant.put("r2", "restart", {"window": _window_in(8)})
    plant.wait("r2", "queued")
    gateway.kill()

    gateway.start()
    wait_until(
        lambda: [row["state"] for row in gateway.ask("jobs")["jobs"]] == ["in_progress", "queued"], 20, why="both"
    )
    for id_, more, code in (
        ("f1", {"url": "http://192.0.2.1/x"}, 400),
        ("f2", {"op": "format"}, 404),
        ("f3", {"exp": 1_700_000_000_000}, 408),
    ):
        cloud.put(id_, **{"op": "restart", **more})
        assert cloud.end(id_)["detail"]["code"] == code
    cloud.put("r1", "restart", {"window": _window_in(6)})
    cloud.clear()
    assert cloud.end("r1")["state"] == "cancelled"
    plant.wait("r2", "in_progress")
    plant.put("r2", "restart", ver=2)
    wait_until(lambda: not gateway.process.alive, 20, why="the corrected version restarts at once")
    assert gateway.process.returncode == 0

    gateway.start()
    assert plant.wait("r2", "succeeded")["ver"] == 2
    told = len(plant.statuses["r2"])
    other.restart()  # it still stands there: it is answered, and nothing else
    wait_until(lambda: len(plant.statuses["r2"]) > told, 20, why="what stands there is answered again")
    assert plant.statuses["r2"][-1]["state"] == "succeeded"
    ends = {(row["id"], row["ver"]): row["state"] for row in gateway.ask("jobs")["jobs"]}
    assert ends[("r1", 1)] == "cancelled"
    assert ends[("r2", 2)] == "succeeded"
    assert {ends[("f2", 1)], ends[("f3", 1)]} == {"rejected"}
    assert gateway.status().get("job") is None
    plant.close()
