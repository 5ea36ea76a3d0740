"""Jobs over a restart, a kill, a full disk and a lost connection: what was taken is known, and its end is heard."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.errors import StoreError
from gateway.jobs.work import Ended, Running
from gateway.jobs.worker import MAX_RESUMES
from gateway.runtime.joblog import JobLog
from tests.unit.jobs.bench import Bench, Gate, Plant, until


async def test_a_job_is_taken_up_after_a_restart_with_what_it_kept_and_knows_that_it_was_cancelled(
    tmp_path: Path,
) -> None:
    plant = Plant()
    plant.acts["j1"] = gate = Gate()
    async with Bench(tmp_path, plant=plant) as bench:
        await bench.put("j1", doc={"set": [1, None, "x"]})
        await gate.inside.wait()
        await bench.put("j2", uplink="plant", doc={"set": 2})
    plant.acts["j1"] = gate = Gate()
    async with Bench(tmp_path, plant=plant) as bench:
        await gate.inside.wait()
        assert plant.begun == [("j1/1", False), ("j1/1", True)]
        assert bench.desk.row("j1/1").kept == {"seen": 2}
        assert bench.desk.row("j1/1").doc == {"set": [1, None, "x"]}
        cancelled = asyncio.ensure_future(bench.clear())
        await bench.until(lambda: bench.row("j1").cancelled or bench.row("j1").final)
        await cancelled
        await bench.ended("j1", "cancelled")
        await bench.ended("j2", uplink="plant")


async def test_a_cancellation_outlives_a_kill(tmp_path: Path) -> None:
    plant = Plant()
    inside = asyncio.Event()

    async def slow_to_hear(running: Running) -> Ended:
        inside.set()
        await asyncio.Event().wait()
        raise AssertionError

    plant.acts["j1"] = slow_to_hear
    async with Bench(tmp_path, plant=plant) as bench:
        await bench.put("j1")
        await inside.wait()
        await bench.clear()
        assert bench.row("j1").cancelled
    plant.acts["j1"] = Gate()
    async with Bench(tmp_path, plant=plant) as bench:
        bench.desk.reconnected("cloud")
        await bench.ended("j1", "cancelled")


async def test_a_job_that_the_gateway_never_gets_past_is_given_up(tmp_path: Path) -> None:
    plant = Plant()
    plant.acts["j1"] = gate = Gate(commits=True)
    async with Bench(tmp_path, plant=plant) as bench:
        await bench.put("j1")
        await gate.inside.wait()
        await JobLog(bench.store).put([replace(bench.row("j1"), resumes=MAX_RESUMES - 1)])
    plant.acts["j1"] = gate = Gate(commits=True)
    async with Bench(tmp_path, plant=plant) as bench:
        await gate.inside.wait()
        assert bench.row("j1").resumes == MAX_RESUMES
    async with Bench(tmp_path, plant=plant) as bench:
        bench.desk.reconnected("cloud")
        assert "given up" in (await bench.ended("j1", "failed"))["detail"]["text"]
    assert len(plant.begun) == 2


async def test_the_end_of_a_job_is_owed_until_the_broker_has_it_over_restarts(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        await bench.put("j1", doc={"set": 1})
        told = await bench.ended("j1")
    async with Bench(tmp_path) as bench:
        bench.desk.reconnected("cloud")
        status = bench.boxes["cloud"].pending["j1/1"]
        assert status.body == told
        bench.desk.told("cloud", status)
        await bench.store.commit()
        assert bench.row("j1").owed == ()
    async with Bench(tmp_path) as bench:
        bench.desk.reconnected("cloud")
        assert bench.boxes["cloud"].pending == {}


async def test_a_job_without_room_on_disk_is_not_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.desk.restore()
    bench.store.abandon()
    with pytest.raises(StoreError):
        await bench.put("j1")
    assert bench.desk.rows() == []
    assert bench.boxes["cloud"].pending == {}


async def test_a_message_whose_connection_went_while_it_was_stored_is_in_memory_as_on_disk(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        taking = asyncio.ensure_future(bench.put("j1", doc={"set": 1}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        taking.cancel()
        await until(lambda: bench.desk.rows())
        await bench.ended("j1")
        assert bench.plant.effects == [1]
