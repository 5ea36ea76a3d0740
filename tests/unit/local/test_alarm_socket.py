"""The local ops of alarms over a real socket: signed by the kernel's word, refused with the code of the alarms."""

from __future__ import annotations

import asyncio
import getpass
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreFull
from gateway.local.alarms import AlarmOps, RuleOps
from gateway.local.client import AsyncClient
from gateway.local.connection import Handler
from gateway.local.server import LocalServer
from gateway.local.wire import OpError
from tests.unit.runtime.alarm_bench import Bench

PUMP = "press_hi@pump"


@asynccontextmanager
async def serving(path: Path, bench: Bench) -> AsyncIterator[AsyncClient]:
    ops = AlarmOps(bench)
    table = {
        "alarms": Handler(ops.alarms),
        "alarms_watch": Handler(ops.watch, stream=True),
        "alarm_ack": Handler(ops.ack, "operate", caller=True),
        "alarm_shelve": Handler(ops.shelve, "operate", caller=True),
    }
    server = LocalServer(path / "fieldpost.sock", table, logging.getLogger("fieldpost.local"))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.run())
        async with asyncio.timeout(10):
            await server.listening.wait()
        try:
            async with AsyncClient(path / "fieldpost.sock") as client:
                yield client
        finally:
            task.cancel()


async def test_who_acknowledged_is_the_user_that_the_kernel_knows(tmp_path: Path) -> None:
    bench = Bench()
    bench.desk.active(PUMP)
    async with serving(tmp_path, bench) as client:
        answer = await client.call("alarm_ack", {"id": PUMP, "who": "anna", "comment": "seen"})
    assert answer == {"alarms": [{"key": PUMP, "before": "unack_active", "state": "ack_active"}]}
    user = getpass.getuser()
    assert bench.desk.last.who == (f"anna ({user})" if user != "anna" else user)
    assert (bench.audit.entries[0]["via"], bench.audit.entries[0]["what"]) == ("local", "alarm_ack")


async def test_a_refusal_keeps_its_code(tmp_path: Path) -> None:
    async with serving(tmp_path, Bench()) as client:
        for args, code in (({"id": "nothing"}, 404), ({"id": PUMP}, 409), ({"id": "hot"}, 400), ({}, 400)):
            with pytest.raises(OpError) as caught:
                await client.call("alarm_ack", args)
            assert caught.value.code == code


async def test_a_watcher_gets_what_stands_and_then_each_transition(tmp_path: Path) -> None:
    bench = Bench()
    bench.desk.active(PUMP)
    async with serving(tmp_path, bench) as client, aclosing(client.stream("alarms_watch")) as items:
        first = await anext(items)
        assert [row["key"] for row in first["alarms"]] == [PUMP]
        await client.call("alarm_ack", {"id": PUMP})
        entry = (await anext(items))["entry"]
        assert (entry["id"], entry["event"], entry["state"]) == ("press_hi", "ack", "ack_active")


async def test_a_watcher_of_one_device_hears_nothing_of_others() -> None:
    bench = Bench()
    items = AlarmOps(bench).watch({"device": "pump"})
    assert await anext(items) == {"alarms": []}
    bench.desk.active("hot@oven")
    bench.desk.active(PUMP)
    bench.tell(0)
    assert (await anext(items))["entry"]["device"] == "pump"
    await items.aclose()
    assert bench.feeds == []


async def test_what_came_faster_than_it_was_taken_is_counted() -> None:
    bench = Bench()
    items = AlarmOps(bench).watch({})
    await anext(items)
    for key in (PUMP, "hot@oven", "hot@boiler"):
        bench.desk.active(key)
        bench.desk.ack(key)
    bench.tell(0)
    assert await anext(items) == {"dropped": 3}
    assert [(await anext(items))["entry"]["id"] for _ in range(3)] == ["hot", "hot", "hot"]
    await items.aclose()


async def test_figures_come_only_when_they_are_asked_for() -> None:
    bench = Bench()
    assert set(await AlarmOps(bench).alarms({})) == {"alarms"}
    answer = await AlarmOps(bench).alarms({"all": True, "stats": True, "device": "oven"})
    assert [row["key"] for row in answer["alarms"]] == ["hot@oven"]
    assert answer["stats"]["per_10_min"]["now"] == 0


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("alarms", {"all": "yes"}),
        ("alarms", {"device": 5}),
        ("ack", {"id": 5}),
        ("ack", {"id": PUMP, "komment": "seen"}),
        ("alarms", {"every": True}),
        ("ack", {"id": PUMP, "all": True}),
        ("ack", {"id": PUMP, "comment": "x" * 501}),
        ("shelve", {"id": PUMP}),
        ("shelve", {"id": PUMP, "for_s": 8 * 86400}),
        ("out_of_service", {"id": PUMP}),
        ("out_of_service", {"id": PUMP, "on": "no"}),
    ],
)
async def test_arguments_of_alarm_ops_of_the_wrong_form_are_refused(op: str, args: dict[str, Any]) -> None:
    bench = Bench()
    with pytest.raises(OpError) as caught:
        await getattr(AlarmOps(bench), op)(args)
    assert caught.value.code == 400
    assert bench.desk.told == []


@pytest.mark.parametrize("args", [{}, {"name": ""}, {"name": 5}, {"name": "x", "last": 0}, {"name": "x", "last": 99}])
async def test_arguments_of_why_of_the_wrong_form_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(OpError) as caught:
        await RuleOps(Bench()).why(args)
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("op", "more"),
    [("ack", {}), ("ack", {"id": None, "all": True}), ("shelve", {"for_s": 60.0}), ("out_of_service", {"on": True})],
)
async def test_an_act_is_answered_when_it_is_on_disk_and_says_when_it_is_not(op: str, more: dict[str, Any]) -> None:
    bench = Bench()
    bench.desk.active(PUMP)
    act = getattr(AlarmOps(bench), op)
    assert "unkept" not in await act({"id": PUMP, **more})
    assert bench.store.commits == 1
    bench.desk.active("hot@boiler")
    bench.store.failing = StoreFull("the journal has no room")
    assert (await act({"id": "hot@boiler", **more}))["unkept"] == "the journal has no room"
