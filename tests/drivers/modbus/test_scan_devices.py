"""Scans through a driver: what is never asked, and what a strange answer must not break."""

from __future__ import annotations

import pytest

from tests.drivers.modbus.kit import channel_of, device_of, driver_on, tag_spec


async def findings(faulty, options, settings=None, **own):
    device = device_of([tag_spec("x", "holding/50")], **own)
    channel = channel_of(device, port=faulty.port, timeout_s=0.3, **(settings or {}))
    async with driver_on(channel, device) as driver:
        return [row async for row in driver.scan({"identify": False, **options}) if "done" not in row]


async def test_a_device_whose_first_register_is_forbidden_is_found(faulty):
    rows = await findings(faulty, {"device": "dev", "ranges": ["holding/0-19"]}, forbidden=("holding/0-3",))
    assert [(row["first"], row["last"]) for row in rows if "first" in row] == [(4, 19)]
    assert all(start > 3 for _, _, start, _ in faulty.requests)


async def test_what_a_channel_forbids_is_asked_of_no_unit(faulty):
    await findings(faulty, {"units": "1-3", "ranges": ["holding/0-59"]}, {"forbidden": ("holding/40-49",)})
    asked = {start + i for _, _, start, count in faulty.requests for i in range(count)}
    assert {unit for unit, *_ in faulty.requests} == {1, 2, 3}
    assert asked == {*range(40), *range(50, 60)}


async def test_models_of_nonsense_length_end_a_scan_of_them(faulty):
    for i, word in enumerate((0x5375, 0x6E53, 1, 65535)):
        faulty.registers[1, 40000 + i] = word
    rows = await findings(faulty, {"units": "1", "ranges": ["holding/0-3"], "identify": True})
    assert [row["sunspec"]["models"] for row in rows if "sunspec" in row] == [
        [{"model": 1, "base": 40002, "length": 65535}]
    ]


async def test_unit_ids_beyond_the_protocol_are_refused_before_they_are_counted(faulty):
    with pytest.raises(ValueError, match="1 to 255"):
        await findings(faulty, {"units": "1-99999999999"})
