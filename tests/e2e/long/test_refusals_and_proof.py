"""What a refused publish does not cost, and that `proof` and an independent ledger agree."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.eventually import wait_until
from tests.support.gateway import FIELDPOST
from tests.support.mosquitto import Broker
from tests.support.processes import Processes
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]

ALLOW = "topic readwrite fp/#\n"
DENY = "topic deny fp/1/default/gw/up/telemetry\n"


@pytest.mark.timeout(300)
def test_fl_3_a_refused_publish_is_not_delivered_and_is_shown(
    make_scene: MakeScene, make_broker: Callable[..., Broker]
) -> None:
    """FL-3: the access list denies telemetry (reason 0x87): nothing is lost, other streams go on, status says why."""
    broker = make_broker(acl=ALLOW + DENY)
    scene = make_scene([[1], [1]], broker=broker, timeout="500ms")
    scene.wait_polls(3)
    issues = wait_until(scene.gateway.issues, 30, every=0.2)
    assert any("telemetry" in issue["text"] and "cloud" in issue["entity"] for issue in issues), issues
    assert scene.gateway.backlog() > 0
    scene.plant.refuse(1)
    wait_until(lambda: [e for e in scene.sink.snapshot().entries("event") if e["kind"] == "device"], 60, every=0.2)
    scene.plant.pass_(1)
    assert scene.sink.received() == 0
    broker.set_acl(ALLOW)
    scene.wait_polls(2, within=90)
    scene.wait_delivered(within=120)
    wait_until(
        lambda: not [issue for issue in scene.gateway.issues() if "cloud" in issue["entity"]],
        60,
        every=0.2,
        why=lambda: f"the issue ends: {scene.gateway.issues()}",
    )
    scene.finish()


def test_proof_agrees_with_the_ledger(make_scene: MakeScene, processes: Processes) -> None:
    """`fieldpost proof` listens over an outage and a kill, and finds the same as the independent ledger."""
    scene = make_scene(3, start=False)
    argv = [str(FIELDPOST), "proof", "--url", scene.broker.url, "--gateway", "gw", "--for", "45s", "--json",
            "--config", str(scene.gateway.config)]  # fmt: skip
    proof = processes.start("proof", argv)
    wait_until(lambda: "/gw/up/#" in scene.broker.log(), 20, why="proof is subscribed")
    scene.gateway.start()
    scene.wait_polls(3)
    scene.kill_gateway()
    scene.gateway.start()
    scene.wait_polls(3)
    scene.broker.stop()
    scene.wait_polls(3)
    scene.broker.start()
    for line in range(3):
        scene.plant.refuse(line)  # no reading is under way when the gateway stops
    scene.gateway.wait_drained()
    assert scene.gateway.stop() == 0
    assert proof.wait(90) == 0, proof.output()
    answer = json.loads(proof.output().strip().splitlines()[-1])
    ledger = scene.sink.snapshot()
    assert answer["ok"] is True
    for stream in answer["streams"]:
        key = (stream["stream"], stream["epoch"])
        assert stream["received"] == len(ledger.numbers[key])
        assert stream["missing"] == ledger.missing(key) == []
        assert stream["last"] == max(ledger.numbers[key], default=0)
