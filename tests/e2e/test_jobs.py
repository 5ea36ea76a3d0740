"""Jobs from the broker to their end, with the installed gateway and a real broker."""

from __future__ import annotations

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


def test_a_restart_is_done_once_and_its_end_is_told_by_the_process_after_it(
    make_gateway: Callable[..., Gateway], broker: Broker, cloud: JobCloud
) -> None:
    gateway = make_gateway()
    gateway.write_main(uplinks={"cloud": {"urls": [broker.url]}})
    gateway.start()
    cloud.put("r1", "restart")
    wait_until(lambda: not gateway.process.alive, 20, why="the process ends in order")
    assert gateway.process.returncode == 0
    assert cloud.states("r1") == ["queued", "in_progress"]
    assert cloud.statuses["r1"][-1]["step"] == "restart"
    gateway.start()
    assert cloud.end("r1")["state"] == "succeeded"
    gateway.kill()  # the job still stands there: each start hears of it again
    gateway.start()
    told = len(cloud.statuses["r1"])
    wait_until(lambda: len(cloud.statuses["r1"]) > told, 20, why="what stands there is answered again")
    assert cloud.states("r1") == ["queued", "in_progress", "succeeded"]
    assert gateway.process.alive
