"""Each fault that is planted in a driver is found, by its own check; a good driver has no finding."""

from __future__ import annotations

import asyncio

import pytest

from gateway.testing import Bench, FakeContext, examine
from tests.integration.sdk import planted
from tests.integration.sdk.lines import VALUES, Good, GoodPushing, channel, peer, spec_of

WRITES = {"d.set": 7.5}

POLLING = [
    (planted.Blocks, "loop", ("read",)),
    (planted.BlocksWithASocket, "loop", ("silence",)),
    (planted.LeaksATask, "leaks", ()),
    (planted.KeepsAThread, "leaks", ()),
    (planted.KeepsTheConnection, "leaks", ()),
    (planted.SwallowsCancellation, "cancel-read", ()),
    (planted.TurnsCancellation, "cancel-connect", ()),
    (planted.GoesOnAfterCancellation, "cancel-write", ()),
    (planted.GivesOldValues, "old-values", ()),
    (planted.ForgetsATimeout, "silence", ()),
    (planted.ForgetsATimeoutOfConnect, "silence", ()),
    (planted.ForgetsATimeoutOfOpening, "silence-connect", ("read", "unreachable")),
    (planted.TimesEachByte, "trickle", ("silence",)),
    (planted.TakesLateAnswers, "late", ("silence",)),
    (planted.TakesLateBatches, "late", ("silence",)),
    (planted.WrongCount, "read", ()),
    (planted.WrongType, "read", ()),
    (planted.TimesInSeconds, "read", ()),
    (planted.StrangeErrors, "garbage", ("read",)),
    (planted.NotTheContractsError, "cut", ("read",)),
    (planted.KeepsEverything, "flood", ("silence",)),
    (planted.KeepsALongQueue, "flood", ("read", "silence")),
    (planted.SendsBeforeItRefuses, "write-refused", ("write",)),
    (planted.WritesAnything, "write-refused", ("write",)),
    (planted.WritesSomethingElse, "write", ("write-refused",)),
    (planted.CannotBeClosedTwice, "close", ()),
    (planted.KnocksWithoutAPause, "back-off", ("read",)),
    (planted.LetsErrorsEscape, "tracebacks", ("read",)),
    (planted.CountsBackwards, "counters", ("read",)),
    (planted.ScansAnything, "looks", ("read",)),
    (planted.TheSameTextTwice, "read", ()),
]
PUSHING = [
    (planted.OpensForEver, "silence-connect", ("run", "unreachable")),
    (planted.Restamps, "old-values", ()),
    (planted.OnlineBeforeItSpoke, "silence", ("run",)),
    (planted.CrashesOnRubbish, "garbage", ("run",)),
    (planted.Returns, "unreachable", ("run",)),
    (planted.SaysNothing, "unreachable", ("run",)),
    (planted.KnocksAllTheTime, "back-off", ("run",)),
    (planted.LeavesATask, "leaks", ()),
    (planted.SwallowsItsEnd, "cancel-run", ()),
    (planted.BadTimes, "run", ()),
]


@pytest.fixture(autouse=True)
async def nothing_left():
    """What a bad driver leaves behind ends with its test."""
    planted.OVER.clear()
    yield
    planted.OVER.set()
    for left in planted.LEFT:
        if isinstance(left, asyncio.Future):
            left.cancel()
        elif isinstance(left, asyncio.StreamWriter):
            left.close()
    planted.LEFT.clear()
    current = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not current]
    await asyncio.wait(others, timeout=1) if others else None


async def examined(create, *only, **more):
    async with Bench() as bench:
        port = await bench.peer(peer)
        polls = issubclass(create, Good)
        return await examine(
            spec_of(create, **more),
            channel(port, writable=polls),
            writes=WRITES if polls else None,
            only=only,
            patience_s=3.0,
        )


async def test_a_good_driver_that_pushes_has_no_finding():  # one that asks: test_the_page.py
    report = await examined(GoodPushing)
    assert report.findings == []


@pytest.mark.parametrize(
    ("driver", "check", "fine"), [*POLLING, *PUSHING], ids=lambda value: getattr(value, "__name__", None)
)
async def test_a_planted_fault_is_found_by_its_check(driver, check, fine):
    report = await examined(driver, check, *fine)
    assert report.failed == [check], report.findings


@pytest.mark.parametrize("check", [planted.check_by_asking, planted.check_strangely])
async def test_a_check_of_settings_that_does_more_than_look_is_found(check):
    report = await examined(Good, "settings", check=check)
    assert report.failed == ["settings"], report.findings


async def test_the_place_that_blocks_the_loop_is_named():
    report = await examined(planted.Blocks, "read")
    assert any("planted.py" in finding and "in read" in finding for finding in report.findings), report.findings


async def test_what_cannot_be_checked_is_skipped_with_its_reason():
    report = await examined(Good, "counters", "looks")
    assert {result.check: result.why for result in report.results if result.why} == {
        "counters": "the driver has no counters of its own",
        "looks": "the driver neither scans nor browses",
    }


@pytest.mark.parametrize("driver", [Good, planted.WritesAnything])
async def test_nothing_is_written_where_nothing_may_be(driver):
    async with Bench() as bench:
        there = channel(await bench.peer(peer), writable=True)
        report = await examine(
            spec_of(driver), there, only=("read", "cancel-write", "write", "write-refused", "write-silent")
        )
        async with FakeContext(there) as context:
            reader = driver()
            await reader.connect(context)
            found = [await reader.exchange(f"{word}?") for word in VALUES]
            await reader.close()
    assert {*report.skipped} == {"cancel-write", "write", "write-refused", "write-silent"}
    assert report.findings == []
    assert found == list(VALUES.values())


async def test_an_error_of_the_driver_is_told_with_the_line_that_raised_it():
    report = await examined(planted.HasATypo, "read")
    assert report.findings, report
    assert all("AttributeError" in text and "(planted.py:" in text for text in report.findings), report.findings
