"""Runs that are long by nature. `make soak` also runs every test of tests/e2e at its full length."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support.scale import SOAK
from tests.support.scene import Scene

MakeScene = Callable[..., Scene]


@pytest.mark.timeout(5 * 3600)
def test_fl_41_memory_does_not_creep_while_the_link_flaps(make_scene: MakeScene) -> None:
    """FL-41: RssAnon after the first part of the run stays where it is, with a broker that comes and goes."""
    scene = make_scene(10, interval_s=0.25)
    lengths, samples = (240 if SOAK else 6), []
    for _ in range(lengths):
        scene.broker.stop()
        time.sleep(10)
        scene.broker.start()
        scene.wait_delivered()
        samples.append(scene.gateway.memory()["RssAnon"])
    warm = samples[len(samples) // 3 :]
    third = max(1, len(warm) // 3)
    grown = sum(warm[-third:]) / third - sum(warm[:third]) / third
    assert grown < 2.0, f"RssAnon grew by {grown:.2f} MB: {samples}"
    scene.finish()


@pytest.mark.timeout(5 * 3600)
def test_fl_9_two_hundred_reconnects_repeat_nothing_that_was_acknowledged(make_scene: MakeScene) -> None:
    """FL-9: each reconnect may repeat the window and one commit's acknowledgements, never more."""
    scene = make_scene(10, interval_s=0.25)
    times = 200 if SOAK else 5
    for _ in range(times):
        scene.wait_polls(4)
        scene.broker.restart()
    scene.finish()
    assert scene.sink.snapshot().duplicates <= times * (16 * 1000 + 2 * 4000)
