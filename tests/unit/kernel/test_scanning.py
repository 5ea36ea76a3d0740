"""A scan as a job beside the polls of a wire."""

from __future__ import annotations

import pytest

from tests.unit.kernel.kernel_world import DummyPolling, Running, World, device_spec


class ScanningPolling(DummyPolling):
    """Looks four times, a second each."""

    async def scan(self, _options):
        for number in range(4):
            self.wire.log.append((self.wire.clock.mono() - 1000.0, "look", ""))
            await self.wire.spend(1.0)
            yield {"done": number + 1, "of": 4}


@pytest.mark.parametrize(("devices", "apart"), [([], 1.0), ([device_spec("a", every_s=60.0)], 2.0)])
async def test_a_scan_takes_half_of_a_wire_that_is_polled_and_all_of_one_that_is_not(devices, apart):
    world = World(devices, driver=ScanningPolling)

    async def scan():
        return [row async for row in world.runner.scan({})]

    async with Running(world) as running:
        await world.clock.advance(1.0)
        asked = running.task(scan())
        await world.clock.advance(20.0)
        assert len(await asked) == 4
    begins = [at for at, what, _ in world.wire.log if what == "look"]
    assert [round(at - begins[0], 3) for at in begins] == [apart * number for number in range(4)]
