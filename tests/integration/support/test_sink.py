"""The sink's ledger finds each kind of lie a gateway could tell: a hole, a changed number, a gap that hides one."""

import json
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.publish as publish
import pytest

from tests.support.eventually import wait_until
from tests.support.mosquitto import Broker
from tests.support.sink import Sink

ROOT = "fp/1/default/gw"


def _batch(seq: int, *values: int, epoch: int = 5, **more: Any) -> tuple[str, str, int, bool]:
    entries = [{"device": "d", "ts": 1000 + seq, "seq": seq, "values": {f"t{i}": v for i, v in enumerate(values)}}]
    body = {"v": 1, "gateway": "gw", "stream": "telemetry", "epoch": epoch, "seq": seq, "n": len(values)}
    return f"{ROOT}/up/telemetry", json.dumps({**body, "batches": entries, **more}), 1, False


def _status(last: int) -> tuple[str, str, int, bool]:
    body = {"v": 1, "online": True, "session": 1, "epoch": 5, "streams": {"telemetry": {"oldest": 1, "last": last}}}
    return f"{ROOT}/status", json.dumps(body), 1, True


def _send(broker: Broker, *messages: tuple[str, str, int, bool]) -> None:
    publish.multiple(list(messages), hostname="127.0.0.1", port=broker.port)


@pytest.fixture
def sink(broker: Broker, make_sink: Callable[..., Sink]) -> Sink:
    return make_sink(broker.port)


def test_a_hole_is_found_until_a_gap_record_names_it(broker: Broker, sink: Sink) -> None:
    _send(broker, _batch(1, 7, 7), _batch(5, 8, 8), _status(8))
    wait_until(lambda: sink.status and sink.received() == 4)
    assert sink.snapshot().all_missing() == {("telemetry", 5): [(3, 4), (7, 8)]}
    gap = {"v": 1, "gateway": "gw", "stream": "telemetry", "epoch": 5, "from": 3, "to": 4, "n": 2, "why": "size"}
    _send(broker, (f"{ROOT}/up/gap", json.dumps(gap), 1, False))
    wait_until(lambda: sink.snapshot().all_missing() == {("telemetry", 5): [(7, 8)]})
    assert sink.snapshot().in_gaps() == 2
    assert sink.snapshot().upto(("telemetry", 5)) == 6


def test_a_repeated_number_must_have_the_same_content(broker: Broker, sink: Sink) -> None:
    _send(broker, _batch(1, 7, 7), _batch(1, 7, 7), _batch(2, 9))
    wait_until(lambda: sink.snapshot().duplicates == 3)
    conflicts = sink.snapshot().conflicts
    assert [number for _, number, _, _ in conflicts] == [2]
    assert sink.errors == []


def test_a_message_that_contradicts_itself_is_an_error(broker: Broker, sink: Sink) -> None:
    _send(broker, _batch(1, 7, 7, n=5))
    wait_until(lambda: sink.errors)
    assert "n does not count the values" in sink.errors[0]


def test_the_session_survives_a_broker_restart(broker: Broker, sink: Sink) -> None:
    broker.restart()
    sink.wait_subscribed()
    _send(broker, _batch(1, 1))
    wait_until(lambda: sink.received() == 1)


def test_acknowledges_up_to_the_first_hole(broker: Broker, make_sink: Callable[..., Sink]) -> None:
    sink = make_sink(broker.port, ack=True, ack_every=0.05)
    _send(broker, _batch(1, 7, 7), _batch(4, 8))
    acks = wait_until(lambda: [json.loads(message.payload) for message in sink.on("down/ack")])
    assert acks[0] == {"v": 1, "stream": "telemetry", "epoch": 5, "upto": 2}
    _send(broker, _batch(3, 8))
    wait_until(lambda: json.loads(sink.on("down/ack")[-1].payload)["upto"] == 4)
    assert time.time() - sink.on("down/ack")[0].at < 60
