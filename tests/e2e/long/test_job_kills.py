"""SIGKILL of the installed gateway at each moment of a job, with a real broker: done once, told once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.eventually import wait_until
from tests.support.gateway import Gateway
from tests.support.job_cloud import FINAL, JobCloud
from tests.support.mosquitto import Broker


@pytest.fixture
def cloud(broker: Broker) -> Iterator[JobCloud]:
    cloud = JobCloud(broker.port)
    yield cloud
    cloud.close()


def _is_told(cloud: JobCloud, id_: str, state: str, step: str) -> bool:
    return any(one["state"] == state and one["step"] == step for one in cloud.statuses.get(id_, []))


def test_a_kill_at_any_moment_of_a_restart_leads_to_one_restart_and_one_end(
    make_gateway: Callable[..., Gateway], broker: Broker, cloud: JobCloud
) -> None:
    gateway = make_gateway()
    gateway.write_main(uplinks={"cloud": {"urls": [broker.url]}})
    gateway.start()
    moments = [None, ("queued", "accepted"), ("in_progress", "accepted"), ("in_progress", "restart"), 0.1]
    for number, moment in enumerate(moments):
        id_ = f"r{number}"
        cloud.put(id_, "restart")
        if isinstance(moment, tuple):
            wait_until(lambda id_=id_, moment=moment: _is_told(cloud, id_, *moment), 20, every=0.001, why=f"{moment}")
        elif moment is not None:
            time.sleep(moment)
        gateway.process.kill()
        in_order = 0
        for _ in range(4):
            if not gateway.process.alive:
                gateway.start()
            wait_until(
                lambda id_=id_: cloud.states(id_)[-1:] == ["succeeded"] or not gateway.process.alive,
                30,
                why=lambda id_=id_: f"{id_}: {cloud.states(id_)}",
            )
            if gateway.process.alive:
                break
            in_order += gateway.process.returncode == 0
        assert in_order <= 1, f"{id_}: it was asked for one restart"
        assert [state for state in cloud.states(id_) if state in FINAL] == ["succeeded"]
    entries = gateway.ask("journal", "--stream", "event", "--limit", "1000")["entries"]
    ends = [one["job"] for one in entries if one["kind"] == "job" and one["state"] in FINAL]
    assert sorted(ends) == [f"r{number}" for number in range(len(moments))], json.dumps(ends)
