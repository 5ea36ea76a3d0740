"""What the issue of a device that is away tells people to do."""

from __future__ import annotations

from typing import Any

from gateway.devices import DeviceMonitor
from gateway.driver import DriverContext
from gateway.errors import PermanentError
from gateway.health import Health
from gateway.testing import ManualClock
from tests.unit.kernel.kernel_world import Running, World, device_spec


class WithoutLibrary:
    """Ends as a driver does whose library is not installed."""

    async def run(self, ctx: DriverContext) -> Any:
        raise PermanentError("radio is not installed: pip install radio")


async def test_a_driver_that_cannot_run_sends_nobody_to_the_cables_of_its_devices() -> None:
    site = World([device_spec("pump")], driver=lambda _: WithoutLibrary())
    async with Running(site):
        [issue] = [each for each in site.health.open() if each.id == "device_offline"]
        assert "pip install radio" in issue.text
        assert issue.repair == "mend what stopped the driver of channel line1: nothing is asked until then"


def test_a_lost_link_is_named_then_the_device_itself_and_one_return_is_no_trouble():
    clock = ManualClock()
    health = Health(clock)
    monitor = DeviceMonitor(
        "pump", offline_after=1, probe_s=5, clock=clock, health=health,
        changed=lambda *_: None, told=lambda *_: None,
    )  # fmt: skip
    monitor.lost("no connection", "mend the connection of channel plant first: not authorised")
    assert "not authorised" in health.open()[0].repair
    monitor.failed("no answer")
    assert "power" in health.open()[0].repair
    monitor.good()
    [issue] = health.open()
    assert issue.text == "answers again"
    assert "power" not in issue.repair
