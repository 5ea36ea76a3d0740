"""What becomes of a job, over a real store: once, one at a time, until its end is heard."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from gateway.jobs import intake
from gateway.jobs.desk import KEPT_ENDED, KEPT_REJECTED
from gateway.jobs.intake import TELL_S, TooManyJobs
from gateway.jobs.work import LOCAL, Ended, JobCancelled, JobState, Running
from gateway.jobs.worker import CANCEL_S, CLOCK_S
from gateway.runtime.joblog import JobLog
from gateway.testing import ManualClock
from tests.unit.jobs.bench import Bench, Gate


async def test_a_job_is_on_disk_when_it_is_taken_and_done_once(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        await bench.put("j1", doc={"set": 2**70})
        assert bench.row("j1").via == "cloud"
        told = await bench.ended("j1")
        assert bench.states("j1") == ["queued", "in_progress", "succeeded"] or bench.states("j1")[-1] == "succeeded"
        assert told["detail"] == {"text": "set", "code": 200}
        assert bench.plant.effects == [2**70]
        assert bench.row("j1").doc == {}
        entries = await bench.entries("job")
        assert [(one["job"], one["op"], one["state"]) for one in entries] == [
            ("j1", "config", "in_progress"), ("j1", "config", "succeeded"),
        ]  # fmt: skip
        audited = [one for one in await bench.entries("audit") if one["what"] == "job"]
        assert [(one["who"], one["job"], one["state"], one["code"]) for one in audited] == [
            ("cloud", "j1", "queued", 202), ("cloud", "j1", "succeeded", 200),
        ]  # fmt: skip


async def test_the_same_job_again_has_no_second_effect_and_is_told_again(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        await bench.put("j1", doc={"set": 1})
        told = await bench.ended("j1")
        for _ in range(3):
            count = len(bench.told["cloud"])
            await bench.put("j1", doc={"set": 1})
            await bench.until(lambda count=count: len(bench.told["cloud"]) > count)
            assert bench.last("j1") == told
        assert bench.plant.effects == [1]
        assert len(await bench.entries("job")) == 2


async def test_an_id_that_has_ended_is_for_nothing_else(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        await bench.put("j1", doc={"set": 1})
        await bench.ended("j1")
        await bench.put("j1", doc={"set": 2})
        assert (await bench.ended("j1", "rejected"))["detail"]["code"] == 409
        await bench.put("j1", ver=2, doc={"set": 1})
        assert (await bench.ended("j1", "rejected", ver=2))["detail"]["code"] == 409
        await bench.put("j1", doc={"set": 1})
        await bench.ended("j1")
        assert bench.plant.effects == [1]


async def test_ids_of_the_last_ended_jobs_are_known_and_rejected_ones_do_not_drive_them_out(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        for number in range(KEPT_ENDED):
            await bench.put(f"j{number}", doc={"set": number})
            await bench.ended(f"j{number}")
        for number in range(KEPT_REJECTED + 10):
            await bench.put(f"bad{number}", doc={"url": "http://192.0.2.1/x"})
        await bench.put("j0", doc={"set": 0})
        await asyncio.sleep(0.01)
        assert bench.plant.effects == list(range(KEPT_ENDED))
        rows = JobLog(bench.store).rows()
        assert len(rows) == KEPT_ENDED + KEPT_REJECTED
        await bench.put("one-more")
        await bench.ended("one-more")
        assert len(JobLog(bench.store).rows()) == KEPT_ENDED + KEPT_REJECTED
        await bench.put("j0", doc={"set": "again"})
        await bench.until(lambda: bench.plant.effects[-1] == "again", "what is forgotten is new")


async def test_another_id_cancels_what_has_changed_nothing(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        bench.plant.acts["j1"] = gate = Gate()
        await bench.put("j1")
        await gate.inside.wait()
        await bench.put("j2", doc={"set": 2})
        assert (await bench.ended("j1", "cancelled"))["detail"]["text"] == "nothing was changed"
        await bench.ended("j2")
        assert bench.plant.begun == [("j1/1", False), ("j2/1", False)]


async def test_after_its_commit_point_a_job_goes_on_and_the_new_one_stays_rejected(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        bench.plant.acts["j1"] = gate = Gate(commits=True)
        await bench.put("j1")
        await gate.inside.wait()
        await bench.put("j2", doc={"set": 2})
        assert (await bench.ended("j2", "rejected"))["detail"]["code"] == 409
        await bench.clear()
        await bench.until(lambda: bench.last("j1")["detail"].get("code") == 409)
        assert bench.last("j1")["state"] == "in_progress"
        gate.open.set()
        await bench.ended("j1")
        await bench.put("j2", doc={"set": 2})
        await bench.until(lambda: bench.states("j2") == ["rejected", "rejected"])
        assert bench.plant.effects == []
        await bench.put("j2", ver=2, doc={"set": 3})  # nothing of it was begun: a corrected version may be
        await bench.ended("j2", ver=2)
        assert bench.plant.effects == [3]


async def test_an_empty_next_takes_a_waiting_job_back_and_one_at_work(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        bench.plant.acts["j1"] = gate = Gate()
        await bench.put("j1")
        await gate.inside.wait()
        await bench.put("j2", uplink="plant", doc={"set": 2})
        await bench.clear("plant")
        await bench.ended("j2", "cancelled", uplink="plant")
        await bench.clear()
        await bench.ended("j1", "cancelled")
        assert bench.plant.effects == []
        assert [one["state"] for one in await bench.entries("job")] == ["in_progress", "cancelled", "cancelled"]


async def test_a_work_that_does_not_hear_is_ended_after_a_while_but_not_past_its_commit_point(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:

        async def deaf(running: Running) -> Ended:
            await running.step("apply")
            await asyncio.Event().wait()
            raise AssertionError

        async def deaf_and_done(running: Running) -> Ended:
            await running.commit()
            inside.set()
            await go.wait()
            return Ended(JobState.SUCCEEDED)

        inside, go = asyncio.Event(), asyncio.Event()
        bench.plant.acts |= {"j1": deaf, "j2": deaf_and_done}
        await bench.put("j1")
        await bench.until(lambda: bench.last("j1")["step"] == "apply")
        await bench.clear()
        await bench.clock.advance(CANCEL_S)
        await bench.ended("j1", "cancelled")
        await bench.put("j2")
        await inside.wait()
        await bench.clear()
        await bench.clock.advance(CANCEL_S * 3)
        go.set()
        await bench.ended("j2")


async def test_who_was_cancelled_cannot_commit(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:

        async def late(running: Running) -> Ended:
            inside.set()
            await running.cancelled.wait()
            with pytest.raises(JobCancelled):
                await running.commit()
            raise JobCancelled("too late")

        inside = asyncio.Event()
        bench.plant.acts["j1"] = late
        await bench.put("j1")
        await inside.wait()
        await bench.clear()
        assert (await bench.ended("j1", "cancelled"))["detail"]["text"] == "too late"


async def test_versions_of_a_job_replace_each_other_upwards_until_the_commit_point(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        bench.plant.acts["first"] = first = Gate()
        await bench.put("first", uplink="plant")
        await first.inside.wait()
        await bench.put("j1", ver=3, doc={"set": 3})
        await bench.put("j1", ver=2, doc={"set": 2})
        await bench.put("j1", ver=4, doc={"set": 4})
        await bench.ended("j1", "cancelled", ver=3)
        assert bench.states("j1", 2) == []
        first.open.set()
        await bench.ended("j1", ver=4)
        assert bench.plant.effects == [4]

        bench.plant.acts["j2"] = gate = Gate()
        await bench.put("j2")
        await gate.inside.wait()
        bench.plant.acts["j2"] = second = Gate(commits=True)
        await bench.put("j2", ver=2)
        await bench.ended("j2", "cancelled")
        await second.inside.wait()
        await bench.put("j2", ver=3)
        assert (await bench.ended("j2", "rejected", ver=3))["detail"]["code"] == 409
        second.open.set()
        await bench.ended("j2", ver=2)


async def test_jobs_of_two_uplinks_wait_for_each_other_and_an_id_belongs_to_one_of_them(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        bench.plant.acts["j1"] = gate = Gate()
        await bench.put("j1")
        await gate.inside.wait()
        await bench.put("j2", uplink="plant", doc={"set": 2})
        await bench.until(lambda: bench.states("j2", uplink="plant") == ["queued"])
        await bench.put("j1", ver=2, uplink="plant")
        assert (await bench.ended("j1", "rejected", ver=2, uplink="plant"))["detail"]["code"] == 409
        await bench.put("j1", uplink="plant")  # the same job on both: both hear of it
        gate.open.set()
        await bench.ended("j1", uplink="plant")
        await bench.ended("j2", uplink="plant")
        assert bench.row("j1").owed == ("cloud", "plant")


async def test_two_uplinks_to_one_broker_hear_the_same_and_replace_the_same(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        bench.plant.acts["j1"] = gate = Gate()
        for uplink in ("cloud", "plant"):
            await bench.put("j1", uplink=uplink)
        await gate.inside.wait()
        for uplink in ("plant", "cloud"):
            await bench.put("j2", uplink=uplink, doc={"set": 2})
        for uplink in ("cloud", "plant"):
            await bench.ended("j1", "cancelled", uplink=uplink)
            await bench.ended("j2", uplink=uplink)
        assert bench.plant.effects == [2]


async def test_what_is_rejected_changes_nothing_of_the_others(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        bench.plant.acts["j1"] = gate = Gate()
        await bench.put("j1")
        await gate.inside.wait()
        now = bench.clock.wall_ms()
        for id_, code, more in (
            ("b1", 403, {"ops": ("ota",)}),
            ("b2", 404, {"op": "restart"}),
            ("b3", 400, {"doc": {"sha256": "00"}}),
            ("b4", 408, {"exp": now - 1}),
            ("b5", 400, {"url": "http://192.0.2.1/x"}),
            ("b6", 400, {"v": 2}),
        ):
            await bench.put(id_, **more)
            assert (await bench.ended(id_, "rejected"))["detail"]["code"] == code, id_
        assert bench.last("b3")["detail"]["keys"] == ["sha256"]
        assert "url" in bench.last("b5")["detail"]["text"]
        gate.open.set()
        await bench.ended("j1")
        assert bench.plant.begun == [("j1/1", False)]


async def test_a_message_that_is_no_job_is_audited_once_however_often_it_comes(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        for _ in range(5):
            await bench.put("b1", url="http://192.0.2.1/x")
        await bench.desk.take("cloud", ("config",), b"{")
        audited = [one for one in await bench.entries("audit") if one["what"] == "job"]
        assert [(one["job"], one["code"]) for one in audited] == [("b1", 400), ("", 400)]


@pytest.mark.parametrize("kind", ["unknown", "no job", "replaced", "refused"])
async def test_a_flood_of_jobs_leaves_few_entries_and_says_how_many_were_left_out(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BURST", 20)
    more = {"unknown": {"op": "ota"}, "replaced": {}, "no job": {"doc": []}, "refused": {"op": "config"}}[kind]
    async with Bench(tmp_path) as bench:
        bench.plant.acts["stays"] = Gate(commits=True)
        await bench.put("stays", uplink="other")
        await bench.until(lambda: bench.row("stays").committed)
        for count in range(520):
            with contextlib.suppress(TooManyJobs):
                await bench.put("stays" if kind == "refused" else f"f{count}", ver=count + 2, **more)
        assert bench.desk.left_out == {"cloud": 500}
        written = len(await bench.entries("job")) + len(await bench.entries("audit"))
        assert written < 5 * 20
        with pytest.raises(TooManyJobs):
            await bench.put("real")
        await bench.passes(TELL_S)
        (told,) = [one for one in await bench.entries("audit") if one["what"] == "jobs_left_out"]
        assert (told["who"], told["left_out"]) == ("cloud", 501)
        await bench.put("real")
        assert bench.row("real").state is JobState.QUEUED
        await bench.put("next", uplink="other")  # not counted with the others
        await bench.clear()  # nor what takes back
        assert bench.row("real").state is JobState.CANCELLED
        await bench.desk.take(LOCAL, ("config",), b"{}")


async def test_a_job_waits_for_a_clock_that_can_judge_it(tmp_path: Path) -> None:
    clock = ManualClock(1_000_000, synced=False)
    async with Bench(tmp_path, clock) as bench:
        await bench.put("j1", exp=1_900_000_000_000)
        await bench.until(lambda: bench.states("j1") and bench.last("j1")["step"] == "waiting")
        assert bench.last("j1")["detail"] == {"reason": "clock"}
        assert bench.last("j1")["state"] == "queued"
        clock.step_wall(1_799_999_000)
        await bench.passes(10)
        await bench.ended("j1")
        clock.step_wall(-1_799_999_000)
        await bench.put("j2", exp=5)
        await bench.until(lambda: bench.states("j2") and bench.last("j2")["step"] == "waiting")
        clock.set_synced(True)
        clock.step_wall(1_799_999_000)
        await bench.passes(10)
        assert (await bench.ended("j2", "rejected"))["detail"]["code"] == 408


async def test_a_day_without_a_clock_is_too_long(tmp_path: Path) -> None:
    clock = ManualClock(1_000_000, synced=False)
    async with Bench(tmp_path, clock) as bench:
        await bench.put("j1", exp=1_900_000_000_000)
        await bench.until(lambda: bench.states("j1") and bench.last("j1")["step"] == "waiting")
        await bench.passes(CLOCK_S)
        await bench.passes(10)
        assert (await bench.ended("j1", "timed_out"))["detail"]["reason"] == "clock"
        assert bench.plant.begun == []


async def test_progress_is_told_now_and_then_and_steps_always(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:

        async def download(running: Running) -> Ended:
            for percent in range(100):
                await running.step("download", percent=percent, bytes=percent * 10, total=1000)
            first.set()
            await go.wait()
            for percent in range(0, 100, 2):
                await bench.clock.advance(1)
                await running.step("stage", percent=percent if percent < 4 else 3, to=f"1.{percent}")
            return Ended(JobState.FAILED, "no", 507, {"reason": "disk"})

        first, go = asyncio.Event(), asyncio.Event()
        bench.plant.acts["j1"] = download
        seen: list[tuple[str, int | None]] = []
        put = bench.boxes["cloud"].put
        bench.boxes["cloud"].put = lambda status: (
            seen.append((status.body["step"], status.body.get("percent"))),
            put(status),
        )[1]
        await bench.put("j1")
        await first.wait()
        assert [percent for step, percent in seen if step == "download"] == list(range(0, 100, 5))
        seen.clear()
        go.set()
        told = await bench.ended("j1", "failed")
        assert told["detail"] == {"reason": "disk", "text": "no", "code": 507}
        assert len([step for step, _ in seen if step == "stage"]) == 11  # at first, then each 5 s for 49 s; and the end


async def test_an_error_of_a_work_ends_its_job_and_no_other(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:

        async def broken(_: Running) -> Ended:
            raise KeyError("missing")

        async def unfinished(_: Running) -> Ended:
            return Ended(JobState.IN_PROGRESS)

        bench.plant.acts |= {"j1": broken, "j2": unfinished}
        await bench.put("j1")
        assert (await bench.ended("j1", "failed"))["detail"] == {"text": "KeyError: 'missing'", "code": 500}
        await bench.put("j2")
        await bench.ended("j2", "failed")
        await bench.put("j3")
        await bench.ended("j3")
