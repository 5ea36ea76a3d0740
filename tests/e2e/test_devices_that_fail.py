"""Nothing spreads: what a bad device or a bad line costs the good ones."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.eventually import wait_until
from tests.support.scale import scaled
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]


def test_a_write_reaches_its_device_between_polls_and_is_read_back(make_scene: MakeScene) -> None:
    scene = make_scene([[1, 2]], start=False)
    scene.add_setpoint()
    scene.gateway.start()
    scene.wait_polls(2)
    answer = scene.gateway.ask("write", "d00u02.setpoint=1234")
    (result,) = answer["results"]
    assert (result["state"], result["code"], result["value"]) == ("ok", 200, 1234)
    assert [write[:2] for write in scene.plant.writes(0, 2)] == [[200, 1234]]
    assert scene.plant.writes(0, 1) == []
    rows = scene.gateway.ask("read", "d00u02.setpoint")["tags"]
    assert [(row["tag"], row["value"], row["quality"]) for row in rows] == [("setpoint", 1234, "good")]


def test_an_answer_byte_by_byte_is_an_answer(make_scene: MakeScene) -> None:
    scene = make_scene([[1], [1]])
    scene.plant.fault(0, "slow")
    scene.wait_polls(5)
    scene.plant.fault(0, "ok")
    scene.finish()


def test_fl_31_data_is_back_each_time_a_device_was_gone(make_scene: MakeScene) -> None:
    """FL-31: a device that is stopped and started again and again; no socket stays behind."""
    scene = make_scene([[1], [1]], timeout="1s")
    pid = scene.gateway.pid
    for _ in range(scaled(4, 50)):
        scene.wait_polls(2, within=90)
        scene.plant.refuse(0)
        scene.wait_polls_of([(1, 1)], 2)
        scene.plant.pass_(0)
    scene.wait_polls(2, within=90)
    assert scene.gateway.pid == pid
    assert scene.plant.open_connections() == [1, 1]
    scene.finish()


def test_a_device_that_goes_away_turns_bad_once_and_good_again(make_scene: MakeScene) -> None:
    scene = make_scene([[1], [1]], timeout="500ms")
    scene.wait_polls(2)
    scene.plant.refuse(0)
    wait_until(lambda: scene.states()["d00u01"] == "offline", 60, every=0.2)
    rows = {row["tag"]: row for row in scene.gateway.ask("tags", "d00u01")["tags"]}
    assert {row["quality"] for row in rows.values()} == {"bad/comm"}
    scene.wait_polls_of([(1, 1)], 6)
    scene.plant.pass_(0)
    scene.wait_polls(2, within=90)
    scene.wait_delivered()
    bad = [r for r in scene.sink.snapshot().readings() if r.device == "d00u01" and r.quality == "bad/comm"]
    assert len(bad) == 100, "one row per tag and outage"
    assert {reading.value for reading in bad} == {None}
    events = [e for e in scene.sink.snapshot().entries("event") if e["kind"] == "device" and e["device"] == "d00u01"]
    assert [event["state"] for event in events][-2:] == ["offline", "online"], events
    scene.finish()
