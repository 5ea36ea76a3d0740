"""Commands and results on the wire: what is no command, what is too large, what a broker refuses or hangs up on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.mqttclient.connection import ConnectionLost
from gateway.uplink.commands import MAX_PAYLOAD, fitting, message, parse_command
from tests.unit.uplink.virtual import ROOT, NoJitter, VirtualRig


@pytest.fixture
async def rig() -> AsyncIterator[VirtualRig]:
    made = VirtualRig()
    yield made
    await made.stop()


def command(rid: str = "c1", **more: object) -> dict[str, object]:
    return {"v": 1, "rid": rid, "op": "read", **more}


async def test_a_command_is_answered_once_on_its_result_topic_and_its_response_topic(rig: VirtualRig) -> None:
    await rig.start()
    rig.broker.push("down/command/c1", command(), ticket=5, response="answers/me")
    await rig.clock.advance(1.0)
    (result,) = rig.broker.bodies("result/c1")
    assert (result["state"], result["rid"], result["v"]) == ("done", "c1", 1)
    (answer,) = [each for each in rig.broker.published if each.topic == "answers/me"]
    assert json.loads(answer.payload) == result
    assert answer.correlation == b"\x07"
    assert rig.broker.confirmed == [5]
    assert rig.table.kept["c1"].replies == (), "nothing is owed any more"


async def test_what_is_no_command_is_answered_and_not_remembered(rig: VirtualRig) -> None:
    await rig.start()
    rig.broker.push("down/command/c1", command("other"))
    rig.broker.push("down/command/c2", b'{"v":1,"rid":"c2","op":"x","args":{"a":' + b"9" * 5000 + b"}}")
    rig.broker.push("down/command/c3", command("c3", args={"a": "x" * MAX_PAYLOAD}))
    await rig.clock.advance(1.0)
    assert [rig.broker.bodies(f"result/c{n}")[0]["code"] for n in (1, 2, 3)] == [400, 400, 413]
    assert rig.table.kept == {}


async def test_arguments_as_deep_as_a_parser_takes_them_are_refused_and_end_nothing(rig: VirtualRig) -> None:
    uplink = await rig.start()
    for depth in (6, 300, 900):
        payload = b'{"v":1,"rid":"d%d","op":"x","args":{"a":' % depth + b"[" * depth + b"]" * depth + b"}}"
        rig.broker.push(f"down/command/d{depth}", payload)
    await rig.clock.advance(1.0)
    codes = {rig.broker.bodies(f"result/d{depth}")[0]["code"] for depth in (6, 300, 900)}
    assert codes == {400}
    assert uplink.status()["state"] == "online"
    assert len(rig.broker.connections) == 1


async def test_a_retained_message_is_no_command(rig: VirtualRig) -> None:
    """It would come again with each connection, long after its rid is forgotten."""
    await rig.start()
    rig.broker.push("down/command/c1", command(), ticket=9, retain=True)
    await rig.clock.advance(1.0)
    assert rig.broker.bodies("result/c1") == []
    assert rig.broker.confirmed == [9]
    assert rig.table.kept == {}


async def test_a_result_that_the_broker_refused_goes_again_on_the_next_connection_only(rig: VirtualRig) -> None:
    await rig.start(random=NoJitter())
    rig.broker.answer = lambda sent: 0x87 if "/result/" in sent.topic else 0
    rig.broker.push("down/command/c1", command())
    await rig.clock.advance(5.0)
    assert len(rig.broker.bodies("result/c1")) == 1
    rig.broker.answer = lambda sent: 0
    rig.broker.drop()
    await rig.clock.advance(10.0)
    first, second = rig.broker.bodies("result/c1")
    assert first == second
    rig.broker.drop()
    await rig.clock.advance(10.0)
    assert len(rig.broker.bodies("result/c1")) == 2


async def test_a_response_topic_on_which_the_broker_hangs_up_is_given_up_and_the_result_is_not(
    rig: VirtualRig,
) -> None:
    await rig.start(random=NoJitter())

    def hang_up(sent):
        if sent.topic == "not/mine":
            connection = rig.broker.connections[-1]
            asyncio.get_running_loop().call_soon(lambda: connection.end(ConnectionLost("denied")))
        return 0

    rig.broker.answer = hang_up
    rig.broker.push("down/command/c1", command(), response="not/mine")
    await rig.clock.advance(600.0)
    assert sum(each.topic == "not/mine" for each in rig.broker.published) == 3
    assert len(rig.broker.connections) == 4
    assert rig.table.kept["c1"].replies == ()


@pytest.mark.parametrize("topic", ["a/#", "+/b", "", "x" * 300, "a\0b"])
async def test_a_response_topic_that_is_none_is_left_out(rig: VirtualRig, topic: str) -> None:
    await rig.start()
    rig.broker.push("down/command/c1", command(), response=topic)
    await rig.clock.advance(1.0)
    assert len(rig.broker.bodies("result/c1")) == 1
    assert all(each.topic.startswith(ROOT) for each in rig.broker.published)


async def test_a_result_too_large_for_this_uplink_says_so_in_place_of_its_content(rig: VirtualRig) -> None:
    async def large(op, device, args, caller):
        return {"out": {"text": "x" * 5000}}

    rig.broker.max_packet = 3000
    await rig.start(handler=large)
    rig.broker.push("down/command/c1", command())
    await rig.clock.advance(1.0)
    (result,) = rig.broker.bodies("result/c1")
    assert (result["state"], result["code"]) == ("done", 200)
    assert "out" not in result
    assert "bytes" in result["text"]


async def test_an_answer_that_is_no_json_is_a_failure_of_its_own(rig: VirtualRig) -> None:
    async def strange(op, device, args, caller):
        return {"out": {"what": object()}}

    await rig.start(handler=strange)
    rig.broker.push("down/command/c1", command())
    await rig.clock.advance(1.0)
    assert rig.broker.bodies("result/c1")[0]["code"] == 500


def test_a_result_that_fits_is_left_alone():
    small = message("c1", 1, {"state": "done", "code": 200})
    assert fitting(small, 100) is small
    assert parse_command(b'{"v":1,"rid":"a","op":"x","args":5}') is None
