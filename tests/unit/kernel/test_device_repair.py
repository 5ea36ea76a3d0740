"""What the issue of a device that is away tells people to do."""

from __future__ import annotations

from gateway.devices import DeviceMonitor
from gateway.health import Health
from gateway.testing import ManualClock


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
