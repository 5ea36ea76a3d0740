"""Scans through a driver: what is never asked, and what a strange answer must not break."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.drivers.modbus.kit import channel_of, device_of, driver_on, tag_spec
from tests.support.serial_line import Answer, SerialLine, plain_device, value_at


async def findings(faulty, options, settings=None, **own):
    device = device_of([tag_spec("x", "holding/50")], **own)
    channel = channel_of(device, port=faulty.port, timeout_s=0.3, **(settings or {}))
    async with driver_on(channel, device) as driver:
        return [row async for row in driver.scan({"identify": False, **options}) if "done" not in row]


async def test_a_device_whose_first_register_is_forbidden_is_found(faulty):
    rows = await findings(faulty, {"device": "dev", "ranges": ["holding/0-19"]}, forbidden=("holding/0-3",))
    assert [(row["first"], row["last"]) for row in rows if "first" in row] == [(4, 19)]
    assert all(start > 3 for _, _, start, _ in faulty.requests)


async def test_a_device_whose_first_range_is_forbidden_is_found_by_the_next_one(faulty):
    ranges = ["holding/0-3", "holding/10-20"]
    rows = await findings(faulty, {"device": "dev", "ranges": ranges}, forbidden=("holding/0-9",))
    assert [(row["first"], row["last"]) for row in rows if "first" in row] == [(10, 20)]


async def test_a_device_of_which_nothing_may_be_asked_is_left_alone(faulty):
    rows = await findings(faulty, {"device": "dev", "ranges": ["holding/0-20"]}, forbidden=("holding/0-65535",))
    assert (rows, faulty.requests) == ([], [])


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


async def test_a_unit_that_misses_one_answer_is_found(faulty):
    faulty.silent_at = 1
    rows = await findings(faulty, {"units": "1", "ranges": ["holding/0-3"], "timeout_s": 0.05})
    assert [row["answers"] for row in rows if "answers" in row] == ["data"]


@contextlib.asynccontextmanager
async def driver_on_line(line, timeout_s):
    settings = {"serial": {"port": line.port, "line": "115200-8N1"}}
    async with driver_on(channel_of(port=settings, timeout_s=timeout_s)) as driver:
        yield driver


async def test_silent_units_on_a_line_cost_a_scan_s_time_out_not_the_channel_s():
    with SerialLine(units=(30,)) as line:
        async with driver_on_line(line, 10.0) as driver, asyncio.timeout(30):
            options = {"units": "1-30", "ranges": ["holding/0-3"], "timeout_s": 0.02, "identify": False}
            rows = [row async for row in driver.scan(options)]
    assert [row["unit"] for row in rows if "answers" in row] == [30]


def late_once(unit, delay, *, proves):
    """That unit's first answer is late; `proves`: whether it answers a loopback."""
    seen = 0

    def device(asked, pdu):
        nonlocal seen
        if pdu[0] == 8 and not proves:
            return Answer(silent=True)
        answer = plain_device(asked, pdu)
        if asked == unit:
            seen += 1
            answer.delay = delay if seen == 1 else 0.0
        return answer

    return device


@pytest.mark.parametrize("proves", [True, False])
async def test_a_unit_that_is_late_once_on_a_line_is_found_and_read_without_a_wrong_value(proves):
    with SerialLine(late_once(2, 0.2, proves=proves)) as line:
        async with driver_on_line(line, 0.3) as driver:
            options = {"units": "1-3", "ranges": ["holding/5-8"], "timeout_s": 0.05, "identify": False}
            rows = [row async for row in driver.scan(options)]
    assert sorted(row["unit"] for row in rows if "answers" in row) == [1, 2, 3]
    read = {row["unit"]: [each["uint16"] for each in row["rows"]] for row in rows if "rows" in row}
    assert read == {unit: [value_at(unit, 5 + i) for i in range(4)] for unit in (1, 2, 3)}


async def test_a_scan_foretells_the_steps_it_takes_where_nothing_is_refused():
    with SerialLine(units=(2,)) as line:
        async with driver_on_line(line, 0.3) as driver:
            options = {"units": "1-3", "ranges": ["holding/0-199"], "timeout_s": 0.05}
            steps = [row async for row in driver.scan(options) if "done" in row]
    assert steps[-1]["done"] == steps[-1]["of"]
    assert len({row["of"] for row in steps[2:]}) == 1
