"""Nothing spreads, at lengths that show it: what silent and refusing devices cost the good ones."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support import counting
from tests.support.eventually import wait_until
from tests.support.scale import SOAK, scaled
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]


def test_five_black_holed_and_five_refusing_devices_cost_the_other_ten_nothing(make_scene: MakeScene) -> None:
    scene = make_scene(20, interval_s=1.0, timeout="1s", start=False)
    for line in range(5):
        scene.plant.black_hole(line)
    for line in range(5, 10):
        scene.plant.refuse(line)
    scene.gateway.start()
    good = [(line, 1) for line in range(10, 20)]
    wait_until(lambda: all(scene.plant.counts()[unit] for unit in good), 30)
    before, begin = scene.plant.counts(), time.monotonic()
    scene.wait_polls_of(good, scaled(20, 300), within=scaled(60, 400))
    after, elapsed = scene.plant.counts(), time.monotonic() - begin
    for unit in good:
        assert after[unit] - before[unit] >= int(0.98 * elapsed) - 1, f"{unit} in {elapsed:.1f} s"
    states = scene.states()
    assert all(states[counting.device(unit)] == "online" for unit in good)
    assert all(states[counting.device((line, 1))] != "online" for line in range(10))

    for line in range(10):
        scene.plant.pass_(line)
    scene.wait_polls(2, within=90)
    scene.finish()


@pytest.mark.timeout(900 if SOAK else 300)
def test_fl_30_two_silent_units_of_twenty_behind_one_connection(make_scene: MakeScene) -> None:
    """FL-30: the healthy ones keep 0.95 of their polls over 300 s, that is, lose 15 polls at most."""
    scene = make_scene([list(range(1, 21))], interval_s=1.0, timeout="1s", start=False)
    scene.add_setpoint()
    scene.gateway.start()
    scene.wait_polls(3)
    silent = [(0, 4), (0, 17)]
    for _, unit in silent:
        scene.plant.fault(0, "silent", unit)
    good = [unit for unit in scene.plant.counts() if unit not in silent]
    before, begin = scene.plant.counts(), time.monotonic()
    scene.wait_polls_of(good, scaled(45, 285), within=scaled(120, 600))
    after, elapsed = scene.plant.counts(), time.monotonic() - begin
    for unit in good:
        assert after[unit] - before[unit] >= elapsed - 15, f"{unit} in {elapsed:.1f} s"
    states = scene.states()
    assert {name for name, state in states.items() if state != "online"} == {counting.device(u) for u in silent}

    _refuses_a_write_at_once(scene, silent[0])
    for _, unit in silent:
        scene.plant.fault(0, "ok", unit)
    scene.wait_polls_of(silent, 3, within=60)
    wait_until(lambda: set(scene.states().values()) == {"online"}, 60, every=0.2)
    assert scene.plant.writes(0, 4) == [], "a refused write is never executed later"
    assert scene.plant.accepted() == [1], "a silent unit costs no connection"
    scene.finish()


def _refuses_a_write_at_once(scene: Scene, unit: tuple[int, int]) -> None:
    begin = time.monotonic()
    scene.gateway.status()
    start_of_a_command = time.monotonic() - begin
    begin = time.monotonic()
    answer = scene.gateway.cli("write", f"{counting.device(unit)}.setpoint=7", "--json")
    elapsed = time.monotonic() - begin
    assert answer.code == 1, answer
    (result,) = answer.json["results"]
    assert (result["state"], result["code"]) in {("failed", 504), ("rejected", 504)}, result
    assert elapsed < 2 + 3 * start_of_a_command


@pytest.mark.parametrize("fault", ["garbage", "foreign", 4])
def test_fl_32_what_is_no_answer_never_becomes_a_value(make_scene: MakeScene, fault: str | int) -> None:
    """FL-32: noise, an answer of another transaction and an exception are counted, and the line recovers."""
    scene = make_scene([[1], [1]], timeout="500ms")
    scene.wait_polls(3)
    scene.plant.fault(0, fault)
    scene.wait_polls_of([(1, 1)], 8)
    scene.plant.fault(0, "ok")
    scene.wait_polls(3, within=60)
    # The answer of another transaction was counted by the device and rightly thrown away.
    given = scene.plant.counts()[0, 1] if fault == "foreign" else 0
    scene.losses.allowed["d00u01"].update(range(4, given))
    scene.finish()
