"""What a serial line can carry: the arithmetic, and intervals that it refuses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drivers.modbus import SPEC
from drivers.modbus.bustime import interval_faults, read_seconds, shares
from drivers.modbus.settings import ChannelSettings, DeviceSettings
from drivers.modbus.transports import Line, place_of
from gateway.model import ChannelSpec, DeviceSpec, Schedule
from tests.drivers.modbus.kit import tag_spec


def meters(count, every_s, line="9600-8N1"):
    """A line with `count` meters of 20 registers in one row."""
    settings = ChannelSettings(serial={"port": "/dev/ttyUSB0", "line": line})
    devices = tuple(
        DeviceSpec(
            id=f"meter{unit}",
            settings=DeviceSettings(unit_id=unit),
            tags=tuple(tag_spec(f"v{i}", f"holding/{i}") for i in range(20)),
            schedule=Schedule(every_s),
        )
        for unit in range(1, count + 1)
    )
    return ChannelSpec(id="line1", driver="modbus", settings=settings, devices=devices)


def test_a_read_takes_both_frames_the_gaps_and_the_turnaround():
    line = Line("/dev/x", 9600, 8, "E", 1, gap_s=0.004, turnaround_s=0.01)
    assert read_seconds(line, 40) == pytest.approx((8 + 45) * 11 / 9600 + 0.008 + 0.01)


def test_ascii_frames_carry_two_letters_a_byte():
    line = Line("/dev/x", 9600, 7, "E", 1, framing="ascii")
    assert read_seconds(line, 2) == pytest.approx((17 + 15) * 10 / 9600)


def test_thirty_meters_are_one_request_each_and_their_load_adds_up():
    channel = meters(30, 4.0)
    parts = list(shares(channel, place_of(channel.settings)))
    assert [part.requests for part in parts] == [1] * 30
    assert sum(part.load for part in parts) == pytest.approx(30 * (53 + 7) * 10 / 9600 / 4.0)


@pytest.mark.parametrize(("every_s", "holds"), [(1.0, False), (1.8, False), (1.9, True), (10.0, True)])
def test_an_interval_that_the_line_cannot_hold_is_refused_with_the_arithmetic(every_s, holds):
    channel = meters(30, every_s)
    found = list(SPEC.check(channel))
    assert found == list(interval_faults(channel, place_of(channel.settings)))
    if holds:
        assert found == []
        return
    assert [fault.path for fault in found] == ["serial.line"]
    assert "30 devices with 30 requests of 62 ms" in found[0].message
    assert "1.88 s a cycle" in found[0].message
    assert "1.9s" in found[0].hint


@pytest.mark.parametrize(("baud", "timeout_s", "answers"), [(2400, 1.0, False), (2400, 1.5, True), (9600, 1.0, True)])
def test_a_read_that_is_longer_than_the_time_out_is_refused_with_the_arithmetic(baud, timeout_s, answers):
    channel = meters(1, 60.0, line=f"{baud}-8N1")
    meter = replace(channel.devices[0], tags=tuple(tag_spec(f"v{i}", f"holding/{i}") for i in range(125)))
    found = list(SPEC.check(replace(channel, devices=(meter,), timeout_s=timeout_s)))
    if answers:
        assert found == []
        return
    assert [fault.path for fault in found] == ["serial.line"]
    assert "meter1 takes 1.10 s at 2400-8N1" in found[0].message
    assert "timeout: 1.7s" in found[0].hint


def test_a_device_that_is_switched_off_takes_no_time():
    channel = meters(30, 1.0)
    off = [replace(device, enabled=False) for device in channel.devices[10:]]
    channel = replace(channel, devices=(*channel.devices[:10], *off))
    assert list(SPEC.check(channel)) == []
