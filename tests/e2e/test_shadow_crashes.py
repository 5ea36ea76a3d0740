"""kill -9 between the driver's write and its read-back: what was on its way is found out, not done again."""

from __future__ import annotations

import asyncio

from tests.e2e.test_shadows import Scene, scene
from tests.support.eventually import eventually
from tests.support.scale import scaled

__all__ = ["scene"]


async def test_after_a_kill_in_mid_write_the_device_is_read_and_not_written_again(scene: Scene) -> None:
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0)
    for number in range(scaled(5, 50)):
        value = 21.0 + number / 10
        scene.device.quiet_on_write = 1
        before = len(scene.device.writes())
        scene.cloud.desired("m", 10 + number, {"temp": value})
        await eventually(lambda before=before: len(scene.device.writes()) > before, 20, why="the write is on the wire")
        await asyncio.to_thread(scene.gateway.kill)
        scene.device.drop()
        await scene.start()
        await eventually(
            lambda number=number: scene.cloud.reported["m"].get("apply", {}).get("temp", [])[:2] == ["ok", 10 + number],
            30,
            why=lambda: f"ok: {scene.cloud.reported['m']}",
        )
        assert len(scene.device.writes()) == before + 1, f"round {number}: {scene.device.writes()[before:]}"


async def test_a_refused_value_stays_refused_over_kills_and_is_told_until_somebody_has_heard(scene: Scene) -> None:
    await scene.call(scene.cloud.wait_reported, "m", temp=20.0)
    scene.device.refused = {10}
    scene.cloud.desired("m", 4, {"temp": 30.0})
    await scene.call(scene.cloud.wait_rejected, "m", "temp", 422)
    for _ in range(3):
        await asyncio.to_thread(scene.gateway.kill)
        await scene.start()
    scene.device.refused = set()
    await asyncio.sleep(1.0)
    assert scene.device.writes() == [(10, 300)], "a version that has ended is never written again"
    assert scene.cloud.reported["m"]["apply"]["temp"][:3] == ["rejected", 4, 422]
