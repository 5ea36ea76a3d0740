"""What an update waits for, told with its reason, and how each wait ends."""

import asyncio
import datetime as dt
import json
import os
from types import SimpleNamespace

import pytest

from gateway.jobs.window import Window
from gateway.jobs.work import LOCAL, Job, JobCancelled
from gateway.ota.places import Places
from gateway.runtime.fetching import Plan
from gateway.runtime.otadoc import OtaDoc
from gateway.runtime.otawaits import Limits, NotNow, WaitedTooLong, Waits
from gateway.settings.types import OtaSettings
from gateway.testing import ManualClock
from tests.support.slots import SlotBox

TARGET = "releases/fieldpost-1.4.0.json"


class AtWork:
    """A job at work whose steps are noted."""

    def __init__(self, via="cloud"):
        self.job = Job("j1", 1, "ota", {"target": TARGET}, via)
        self.kept = {}
        self.cancelled = asyncio.Event()
        self.told = []

    async def step(self, step, *, percent=None, keep=None, **detail):
        self.kept = {**self.kept, **(keep or {})}
        self.told.append((step, detail.get("reason")))

    @property
    def reasons(self):
        return sorted({reason for _, reason in self.told})


@pytest.fixture
def box(tmp_path):
    made = SlotBox(tmp_path)
    made.install_slotctl()
    made.make("1.1.0-aaaaaaaaaaaa", confirmed=True)
    assert made.run("adopt", "1.1.0-aaaaaaaaaaaa") == 0
    return made


class Bench:
    def __init__(self, box, ota=None, window=None, via="cloud", draw=0.5, **limits):
        self.clock = ManualClock()
        self.alarms = []
        self.node = SimpleNamespace(
            clock=self.clock,
            settings=SimpleNamespace(ota=ota or OtaSettings(jitter_s=0), timezone="UTC"),
            blocked_updates=lambda: self.alarms,
        )
        self.running = AtWork(via)
        self.places = Places(box.root)
        self.places.request.parent.mkdir(parents=True, exist_ok=True)
        doc = OtaDoc(TARGET, window)
        self.waits = Waits(self.node, self.places, doc, self.running, Limits(**limits), lambda: draw)

    async def passes(self, task, seconds, step=10.0):
        """Let time pass until the task is done; how much it took."""
        for passed in range(0, int(seconds), int(step)):
            for _ in range(50):
                await asyncio.sleep(0.001)
                if task.done():
                    return passed
            await self.clock.advance(step)
        await asyncio.sleep(0.05)
        return None if not task.done() else seconds


def minute_of(clock):
    now = dt.datetime.fromtimestamp(clock.wall_ms() / 1000, dt.UTC)
    return now.hour * 60 + now.minute


async def test_both_windows_have_to_be_open_before_it_begins(box):
    bench = Bench(box)
    now = minute_of(bench.clock)
    own, wanted = ((now + 2) % 1440, (now + 60) % 1440), Window((now + 4) % 1440, (now + 30) % 1440)
    bench = Bench(box, OtaSettings(window=own, jitter_s=0), wanted)
    task = asyncio.create_task(bench.waits.turn())
    took = await bench.passes(task, 600, 20.0)
    assert 180 <= took <= 300
    assert bench.running.reasons == ["window"]


async def test_a_lot_is_drawn_once_and_holds_over_a_restart(box):
    bench = Bench(box, OtaSettings(jitter_s=600))
    task = asyncio.create_task(bench.waits.turn())
    assert await bench.passes(task, 100) is None
    task.cancel()
    kept = bench.running.kept
    again = Bench(box, OtaSettings(jitter_s=600), draw=0.99)
    again.clock = bench.clock
    again.node.clock = bench.clock
    again.running.kept = kept
    task = asyncio.create_task(again.waits.turn())
    took = await again.passes(task, 600)
    assert 190 <= took <= 210, "300 s drawn, 100 passed"


async def test_somebody_at_the_machine_waits_for_no_hour_and_no_lot(box):
    bench = Bench(box, OtaSettings(window=(0, 1), jitter_s=600, metered=True), via=LOCAL)
    bench.alarms = ["press_hi"]
    await asyncio.wait_for(bench.waits.turn(), 5)
    bench.waits.check(Plan(TARGET, "1.4.0", "", "normal", 1000, 1000))
    assert bench.running.told == []


async def test_another_update_is_waited_for_and_a_request_that_nobody_answered_is_not(box):
    bench = Bench(box)
    bench.places.request.write_text(json.dumps({"job": "other"}))
    task = asyncio.create_task(bench.waits.turn())
    assert await bench.passes(task, 60) is None
    assert bench.running.reasons == ["lock"]
    box.run("result", asked={"job": "other", "outcome": "FAILED", "reason": "disk", "text": "no room"})
    assert await bench.passes(task, 60) is not None
    bench.places.request.write_text(json.dumps({"job": "silent"}))
    os.utime(bench.places.request, (1, 1))
    await asyncio.wait_for(bench.waits.turn(), 5)


async def test_an_alarm_that_blocks_updates_is_waited_for_and_not_for_ever(box):
    bench = Bench(box, alarm_s=120.0)
    bench.alarms = ["press_hi"]
    task = asyncio.create_task(bench.waits.turn())
    assert await bench.passes(task, 60) is None
    assert bench.running.reasons == ["alarm"]
    assert await bench.passes(task, 200) is not None
    with pytest.raises(WaitedTooLong) as caught:
        await task
    assert caught.value.reason == "alarm"
    assert "press_hi" in str(caught.value)


async def test_a_clock_is_waited_for_until_it_is_synced_or_a_day_has_passed(box):
    bench = Bench(box, clock_s=300.0)
    bench.clock.set_synced(False)
    task = asyncio.create_task(bench.waits.clock("it looks expired", 1.0))
    assert await bench.passes(task, 100) is None
    bench.clock.set_synced(True)
    assert await bench.passes(task, 100) is not None
    await task
    bench.clock.set_synced(False)
    task = asyncio.create_task(bench.waits.clock("it looks expired", 1.0))
    await bench.passes(task, 400)
    with pytest.raises(WaitedTooLong) as caught:
        await task
    assert (caught.value.reason, bench.running.reasons) == ("clock", ["clock"])


async def test_a_clock_that_only_the_gateway_believes_is_asked_about_with_growing_pauses(box):
    bench = Bench(box, clock_s=1000.0)
    for pause_s, least in ((100.0, 90), (800.0, 790)):
        task = asyncio.create_task(bench.waits.clock("it looks expired", pause_s))
        assert await bench.passes(task, 900) >= least
        await task
    with pytest.raises(WaitedTooLong):
        await bench.passes(task := asyncio.create_task(bench.waits.clock("it looks expired", 200.0)), 400)
        await asyncio.create_task(bench.waits.clock("it looks expired", 200.0))
    await task


async def test_a_plan_that_costs_or_does_not_fit_waits(box):
    bench = Bench(box, OtaSettings(metered=True))
    bench.waits.check(Plan(TARGET, "1.4.0", "", "security", 1000, 1000))
    bench.waits.check(Plan(TARGET, "1.4.0", "", "normal", 1000, 0))
    for plan, reason in (
        (Plan(TARGET, "1.4.0", "", "normal", 1000, 1000), "metered"),
        (Plan(TARGET, "1.4.0", "", "security", 1 << 50, 1000), "disk"),
        (Plan(TARGET, "1.4.0", "", "security", 1000, 1 << 50), "disk"),
    ):
        with pytest.raises(NotNow) as caught:
            bench.waits.check(plan)
        assert caught.value.reason == reason
    with pytest.raises(WaitedTooLong):
        for _ in range(1000):
            task = asyncio.create_task(bench.waits.later(caught.value))
            await asyncio.sleep(0)
            await bench.clock.advance(10.0)
            await task


async def test_a_job_that_nobody_wants_any_more_ends_its_wait(box):
    bench = Bench(box, OtaSettings(jitter_s=600))
    task = asyncio.create_task(bench.waits.turn())
    await asyncio.sleep(0.02)
    bench.running.cancelled.set()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(task, 5)
