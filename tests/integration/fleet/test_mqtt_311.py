"""A broker that speaks MQTT 3.1.1 only, by other authors: amqtt."""

from __future__ import annotations

import asyncio
import sys

import pytest

from gateway.fleet import NoAnswer
from tests.integration.fleet.conftest import operator
from tests.integration.fleet.device_side import DeviceSide
from tests.support import ports
from tests.support.eventually import wait_until
from tests.support.parts import require
from tests.support.processes import ROOT, Processes


@pytest.fixture
def port(processes: Processes) -> int:
    require("amqtt")
    port = ports.free_port()
    processes.start("amqtt", [sys.executable, "-m", "gateway.demo.amqtt_broker", str(port)], cwd=ROOT)
    wait_until(lambda: ports.is_open(port), 20, why="amqtt listens")
    return port


async def test_shadows_and_lists_work_with_3_1_1(port: int) -> None:
    side = await asyncio.to_thread(DeviceSide(port, level=4).start)
    try:
        async with operator(f"mqtt://127.0.0.1:{port}") as fleet:
            done = await fleet.set("gw", "pump", {"setpoints/temp": 21.5})
            assert done.ok, done
            assert (await fleet.set("gw", "pump", {"mode": "auto"})).ver == 2
            assert [each.online for each in await fleet.gateways()] == [True]
            shadow = await fleet.shadow("gw", "pump")
            assert shadow.desired is not None
            assert shadow.desired.values() == {"setpoints.temp": 21.5, "mode": "auto"}
    finally:
        side.stop()


async def test_silence_over_3_1_1_names_the_access_list_as_a_reason(port: int) -> None:
    async with operator(f"mqtt://127.0.0.1:{port}") as fleet:
        with pytest.raises(NoAnswer, match=r"3\.1\.1") as silent:
            await fleet.command("gw", "rebirth", ttl_s=0.2, rid="c-1")
        assert silent.value.rid == "c-1"
