"""A blocked loop ends the process and names who did it. FL-52, in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from gateway.clock import SystemClock
from gateway.health import Health
from gateway.watchdog import CULPRIT_FILE, EXIT_BLOCKED, Watchdog
from tests.support.eventually import SLOW, eventually

BLOCKER = """
import asyncio, sys, time
from pathlib import Path
from gateway.clock import SystemClock
from gateway.driver import DriverSpec
from gateway.health import Health
from gateway.context import ChannelRunner
from gateway.model import ChannelSpec
from gateway.supervisor import Supervisor
from gateway.watchdog import Watchdog

class Blocking:
    async def run(self, ctx):
        await asyncio.sleep(0.3)
        time.sleep(float(sys.argv[2]))
        await asyncio.Event().wait()

async def good():
    while True:
        print("tick", flush=True)
        await asyncio.sleep(0.1)

async def main():
    clock = SystemClock()
    health = Health(clock)
    supervisor = Supervisor(clock, health)
    spec = DriverSpec("blocker", object, object, object, create=Blocking)
    runner = ChannelRunner(ChannelSpec("line1", "blocker", None, ()), (), spec, publish=print, clock=clock,
                           health=health, memory=None, emit=print)
    supervisor.add_core("watchdog", Watchdog(Path(sys.argv[1]), health, limit_s=2.0, warn_s=0.5, tick_s=0.1).run)
    supervisor.add(runner.unit, runner.run)
    supervisor.add("good", good)
    await supervisor.run()

asyncio.run(main())
"""


def run_blocker(state: Path, seconds: float, **environment: str) -> subprocess.Popen[str]:
    env = {**os.environ, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", BLOCKER, str(state), str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


async def test_fl_52_a_driver_that_blocks_the_loop_ends_the_process_and_the_next_start_names_it(tmp_path: Path) -> None:
    """FL-52: without systemd the process ends itself with 70; the culprit's name survives."""
    process = run_blocker(tmp_path, 1000.0, WATCHDOG_USEC="", NOTIFY_SOCKET="")
    out, err = await asyncio.to_thread(process.communicate, timeout=30 * SLOW)
    assert process.returncode == EXIT_BLOCKED, err
    assert "tick" in out
    row = json.loads((tmp_path / CULPRIT_FILE).read_text())
    assert row["unit"] == "driver:blocker[line1]"
    assert "time.sleep" in row["stack"] or "in run" in row["stack"]

    health = Health(SystemClock())
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(Watchdog(tmp_path, health, limit_s=1000.0).run())
        await eventually(health.open)
        watching.cancel()
    assert [(issue.id, issue.entity) for issue in health.open()] == [("loop_blocked", "driver:blocker[line1]")]
    assert not (tmp_path / CULPRIT_FILE).exists()


async def test_under_systemd_the_pings_stop_only_while_the_loop_is_blocked_and_systemd_ends_the_process(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(20 * SLOW)
        process = run_blocker(tmp_path, 1000.0, WATCHDOG_USEC="3000000", WATCHDOG_PID="", NOTIFY_SOCKET=path)
        try:
            assert await asyncio.to_thread(listener.recv, 100) == b"WATCHDOG=1"
            await eventually((tmp_path / CULPRIT_FILE).exists)
            assert process.poll() is None  # ending it is systemd's
            assert json.loads((tmp_path / CULPRIT_FILE).read_text())["unit"] == "driver:blocker[line1]"
        finally:
            process.kill()
            await asyncio.to_thread(process.communicate)


async def test_a_block_that_ends_in_time_is_told_in_the_log_and_forgotten(tmp_path: Path) -> None:
    ended: list[int] = []
    watchdog = Watchdog(tmp_path, Health(SystemClock()), limit_s=60.0, warn_s=0.2, tick_s=0.05, end=ended.append)

    async def slow_unit() -> None:
        def look() -> bool:
            return (tmp_path / CULPRIT_FILE).exists()

        deadline = asyncio.get_running_loop().time() + 20 * SLOW
        while not look() and asyncio.get_running_loop().time() < deadline:  # blocks the loop on purpose
            pass

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watchdog.run())
        await asyncio.sleep(0)
        await group.create_task(slow_unit(), name="driver:slow[x]/child")
        await eventually(lambda: not (tmp_path / CULPRIT_FILE).exists())
        watching.cancel()
    assert watchdog.blocked_by is not None
    assert watchdog.blocked_by.unit == "driver:slow[x]"
    assert watchdog.max_lag > 0.1
    assert ended == []


async def test_the_lags_of_the_loop_are_kept_for_a_minute(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path, Health(SystemClock()), limit_s=60.0, warn_s=50.0, tick_s=0.02)
    assert watchdog.lags() == {"last": 0.0, "p99": 0.0, "max": 0.0}
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watchdog.run())
        await eventually(lambda: watchdog.lag)
        time.sleep(0.3)  # noqa: ASYNC251 - what the watchdog is for
        await eventually(lambda: watchdog.lags()["max"] >= 250)
        assert watchdog.lags()["p99"] >= 250
        await eventually(lambda: watchdog.lags()["last"] < 250)
        watching.cancel()
