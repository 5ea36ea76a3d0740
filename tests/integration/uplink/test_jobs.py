"""Jobs over uplinks: a real desk and store behind them, a real broker or a scripted one before them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.jobs import intake
from gateway.uplink import joblink
from tests.integration.uplink.conftest import ROOT, Rig
from tests.integration.uplink.peer import Peer, Script
from tests.support.job_cloud import JobCloud
from tests.unit.jobs.bench import Bench, Port, until


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path / "store", SystemClock(), linked=True) as bench:
        yield bench


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer(Script())
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
def cloud(broker: Any) -> Iterator[JobCloud]:
    cloud = JobCloud(broker.port, root=ROOT)
    yield cloud
    cloud.close()


def statuses(peer: Peer, id_: str) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in peer.payloads(f"job/{id_}/status")]


def job(id_: str, **more: Any) -> bytes:
    return json.dumps({"v": 1, "id": id_, "ver": 1, "op": "config", "doc": {}, **more}).encode()


async def test_a_retained_job_is_done_once_over_connections_and_its_end_told_again(
    rig: Rig, bench: Bench, broker: Any, cloud: JobCloud, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(cloud.put, "j1", "config", {"set": 1})
    rig.uplink(broker.url, port=Port(bench), reconnect_max_s=0.2)
    await until(lambda: cloud.states("j1") == ["queued", "in_progress", "succeeded"])
    await until(lambda: bench.row("j1").owed == ())
    count = len(cloud.statuses["j1"])
    await asyncio.to_thread(broker.restart)
    await until(lambda: len(cloud.statuses["j1"]) > count, "what still stands there is answered again")
    assert cloud.states("j1") == ["queued", "in_progress", "succeeded"]
    assert bench.plant.effects == [1]
    caplog.clear()  # the broker went


async def test_the_end_of_a_job_waits_for_a_broker_that_takes_it(
    rig: Rig, bench: Bench, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    answer: list[int | None] = [0x87]
    peer.script.puback = lambda topic, _: answer[0] if topic.endswith("/status") and "/job/" in topic else 0
    rig.uplink(peer.url, port=Port(bench), reconnect_max_s=0.1)
    await until(lambda: peer.subscribed)
    peer.push(f"{ROOT}/job/next", job("j1"), 1)
    await until(lambda: "uplink_refused" in rig.issues())
    assert [issue.entity for issue in rig.health.open()] == ["cloud/job"]
    answer[0] = None  # no answer at all: the connection is cut meanwhile
    await until(lambda: bench.row("j1").final)
    assert bench.row("j1").owed == ("cloud",)
    peer.hang_up()
    await until(lambda: len(peer.levels) == 2)
    answer[0] = 0
    peer.hang_up()
    await until(lambda: bench.row("j1").owed == ())
    assert statuses(peer, "j1")[-1]["state"] == "succeeded"
    await until(lambda: rig.issues() == [])
    caplog.clear()


async def test_a_job_is_confirmed_when_it_is_on_disk_and_not_before(rig: Rig, bench: Bench, peer: Peer) -> None:
    on_disk: list[int] = []

    class Slow(Port):
        async def held(self, uplink: str, ops: Any, payload: bytes) -> None:
            await go.wait()
            await bench.desk.take(uplink, ops, payload)
            on_disk.append(len(peer.confirmed))

    go = asyncio.Event()
    port = Slow(bench)
    port.take = port.held
    rig.uplink(peer.url, port=port)
    await until(lambda: peer.subscribed)
    peer.push(f"{ROOT}/job/next", job("j1", doc={"set": 1}), 7)
    peer.push(f"{ROOT}/down/command/c1", b'{"v":1,"rid":"c1","op":"read"}', 8)
    await until(lambda: peer.payloads("result/c1"), "a command does not wait for a job")
    assert peer.confirmed == []
    go.set()
    await until(lambda: peer.confirmed == [7, 8])
    assert on_disk == [0]


async def test_after_a_flood_what_stands_there_is_looked_at(
    rig: Rig, bench: Bench, broker: Any, cloud: JobCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"BURST": 5, "REFILL_S": 0.5, "TELL_S": 0.5}.items():
        monkeypatch.setattr(intake, name, value)
    monkeypatch.setattr(joblink, "ASK_AGAIN_S", 0.6)
    rig.uplink(broker.url, port=Port(bench), reconnect_max_s=0.2)
    await asyncio.to_thread(cloud.put, "j1", "config", {"set": 1})
    await until(lambda: cloud.states("j1")[-1:] == ["succeeded"])
    for count in range(40):
        await asyncio.to_thread(cloud.put, f"f{count}", "nonsense", {})
    await asyncio.to_thread(cloud.put, "j2", "config", {"set": 2})
    await until(lambda: cloud.states("j2")[-1:] == ["succeeded"])
    assert bench.plant.effects == [1, 2]
    assert bench.desk.left_out["cloud"] > 20
    assert len([one for one in cloud.statuses if one.startswith("f")]) < 15


async def test_a_broker_that_refuses_the_topic_of_jobs_brings_commands(
    rig: Rig, bench: Bench, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    peer.script.refuses = "job/next"
    rig.uplink(peer.url, port=Port(bench))
    await until(lambda: "uplink_subscribe" in rig.issues())
    assert peer.subscribed == [[f"{ROOT}/down/#", f"{ROOT}/job/next"]]
    told = rig.health.open()[0]
    assert "jobs do not arrive; commands do" in told.text
    assert f"{ROOT}/job/next" in told.repair
    peer.push(f"{ROOT}/down/command/c1", b'{"v":1,"rid":"c1","op":"read"}', 1)
    await until(lambda: peer.payloads("result/c1"))
    caplog.clear()


async def test_a_broker_that_hangs_up_on_the_topic_of_jobs_still_gets_readings_and_brings_commands(
    rig: Rig, bench: Bench, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    peer.script.hangs_up_on = "job/next"
    rig.journal.add("pump", {"speed": 1.5})
    rig.uplink(peer.url, port=Port(bench), reconnect_max_s=0.1)
    await until(lambda: "uplink_subscribe" in rig.issues())
    assert [len(filters) for filters in peer.subscribed] == [2, 2, 1]
    assert "jobs do not arrive; commands do" in next(
        one.text for one in rig.health.open() if one.id == "uplink_subscribe"
    )
    peer.push(f"{ROOT}/down/command/c1", b'{"v":1,"rid":"c1","op":"read"}', 1)
    await until(lambda: peer.payloads("result/c1"))
    await until(lambda: peer.payloads("up/telemetry"))
    caplog.clear()


async def test_an_uplink_that_brings_no_jobs_does_not_ask_for_them(rig: Rig, bench: Bench, peer: Peer) -> None:
    rig.uplink(peer.url, port=Port(bench), jobs=())
    await until(lambda: peer.subscribed)
    assert peer.subscribed == [[f"{ROOT}/down/#"]]
