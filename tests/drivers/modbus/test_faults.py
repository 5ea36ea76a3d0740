"""What the driver makes of answers that are late, foreign, cut, noisy, negative or missing."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec
from tests.support.ports import free_port

SHORT = 0.15


def two_units():
    return (
        device_of([tag_spec("x", "holding/10")], "a", unit_id=1),
        device_of([tag_spec("x", "holding/10")], "b", unit_id=2),
    )


def rig(server, *devices, timeout_s=SHORT, **options):
    return driver_on(channel_of(*devices, port=server.port, timeout_s=timeout_s, **options), *devices)


async def test_fl_32_a_late_answer_of_one_unit_never_becomes_the_value_of_another(faulty):
    a, b = two_units()
    async with rig(faulty, a, b) as driver:
        faulty.mode = "late"
        with pytest.raises(DeviceUnavailable):
            await read_all(driver, a)
        assert await read_all(driver, b) == {"x": 2010}
        assert driver.counters()["foreign_frames"] == 1
        assert await read_all(driver, a) == {"x": 1010}
    assert faulty.connections == 1


async def test_fl_32_a_long_late_answer_in_one_segment_with_the_right_one_is_skipped(faulty):
    big = device_of([tag_spec(f"t{i}", f"holding/{i}") for i in range(125)], "a")
    async with rig(faulty, big) as driver:
        faulty.mode = "late"
        with pytest.raises(DeviceUnavailable):
            await read_all(driver, big)
        assert (await read_all(driver, big))["t124"] == 1124


@pytest.mark.parametrize("mode", ["wrong-tid", "wrong-unit"])
async def test_fl_32_an_answer_to_another_request_is_counted_and_the_unit_counts_as_silent(faulty, mode):
    a, _ = two_units()
    async with rig(faulty, a) as driver:
        faulty.mode = mode
        with pytest.raises(DeviceUnavailable) as caught:
            await read_all(driver, a)
        assert not isinstance(caught.value, LinkLost)
        assert driver.foreign_frames == 1
        faulty.mode = "good"
        assert await read_all(driver, a) == {"x": 1010}


async def test_fl_32_a_foreign_frame_before_the_right_one_does_not_disturb(faulty):
    a, _ = two_units()
    async with rig(faulty, a) as driver:
        faulty.mode = "foreign-then-good"
        assert await read_all(driver, a) == {"x": 1010}
        assert driver.foreign_frames == 1


@pytest.mark.parametrize("mode", ["half", "noise", "wrong-function", "short-data", "lying-count"])
async def test_fl_32_a_frame_that_cannot_be_the_answer_is_a_bad_frame_and_the_next_read_is_right(faulty, mode):
    a = device_of([tag_spec(f"x{i}", f"holding/{i}") for i in range(10)], "a")
    async with rig(faulty, a) as driver:
        faulty.mode = mode
        with pytest.raises(BadFrame):
            await read_all(driver, a)
        faulty.mode = "good"
        assert (await read_all(driver, a))["x9"] == 1009


async def test_an_answer_in_single_bytes_is_put_together(faulty):
    a, _ = two_units()
    async with rig(faulty, a, timeout_s=5.0) as driver:
        faulty.mode = "byte-by-byte"
        assert await read_all(driver, a) == {"x": 1010}


@pytest.mark.parametrize(("code", "reason"), [(1, "config"), (2, "config"), (3, "config"), (4, "comm"), (6, "comm")])
async def test_a_refusal_carries_the_exception_code_and_what_it_means(faulty, code, reason):
    a, _ = two_units()
    async with rig(faulty, a) as driver:
        faulty.exception = code
        with pytest.raises(RequestRefused) as caught:
            await read_all(driver, a)
        assert (caught.value.code, caught.value.reason) == (code, reason)


@pytest.mark.parametrize("code", [10, 11])
async def test_fl_26_a_gateway_that_cannot_reach_the_unit_means_unavailable(faulty, code):
    a, _ = two_units()
    async with rig(faulty, a) as driver:
        faulty.exception = code
        with pytest.raises(DeviceUnavailable) as caught:
            await read_all(driver, a)
        assert not isinstance(caught.value, LinkLost)


async def test_a_link_that_drops_ends_the_read_at_once(faulty):
    a, _ = two_units()
    async with rig(faulty, a, timeout_s=3600.0) as driver:  # far beyond the test's own limit
        faulty.mode = "drop"
        with pytest.raises(LinkLost):
            await read_all(driver, a)


async def test_a_link_that_dropped_between_two_reads_is_told_as_lost(faulty):
    a, _ = two_units()
    async with rig(faulty, a) as driver:
        await read_all(driver, a)
        faulty.drop()
        with pytest.raises(LinkLost):
            await read_all(driver, a)


async def test_a_silent_unit_neither_costs_the_connection_nor_retries(faulty):
    a, b = two_units()
    async with rig(faulty, a, b, timeout_s=0.03) as driver:
        for _ in range(8):
            faulty.mode = "silent"
            with pytest.raises(DeviceUnavailable):
                await read_all(driver, a)
            faulty.mode = "good"
            assert await read_all(driver, b) == {"x": 2010}
    assert faulty.connections == 1
    assert len(faulty.requests) == 16


async def test_a_connection_on_which_nobody_answers_is_replaced_before_the_next_request(faulty):
    a, b = two_units()
    async with rig(faulty, a, b, timeout_s=0.03) as driver:
        faulty.mode = "silent"
        for _ in range(3):
            with pytest.raises(DeviceUnavailable) as caught:
                await read_all(driver, a)
            assert not isinstance(caught.value, LinkLost)
        faulty.mode = "good"
        assert await read_all(driver, b) == {"x": 2010}
    assert faulty.connections == 2


async def test_one_silent_unit_beside_another_that_is_asked_seldom_costs_no_connection(faulty):
    a, b = two_units()
    async with rig(faulty, a, b, timeout_s=0.03) as driver:
        assert await read_all(driver, b) == {"x": 2010}
        faulty.mode = "silent"
        for _ in range(6):
            with pytest.raises(DeviceUnavailable):
                await read_all(driver, a)
        faulty.mode = "good"
        assert await read_all(driver, b) == {"x": 2010}
    assert faulty.connections == 1


async def test_a_refused_connection_is_a_lost_link():
    a, _ = two_units()
    with pytest.raises(LinkLost):
        async with driver_on(channel_of(a, port=free_port(), timeout_s=SHORT), a):
            pass


async def test_a_cancelled_read_leaves_nothing_behind_that_the_next_one_could_take(faulty):
    a, b = two_units()
    async with rig(faulty, a, b, timeout_s=5.0) as driver:
        faulty.mode = "late"
        task = asyncio.create_task(read_all(driver, a))
        while not faulty.requests:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await read_all(driver, b) == {"x": 2010}


async def test_a_read_that_is_cancelled_in_the_middle_of_its_answer_does_not_spoil_the_next(faulty):
    a, b = two_units()
    async with rig(faulty, a, b) as driver:
        faulty.mode = "half-then-rest"
        task = asyncio.create_task(read_all(driver, a))
        while not faulty.requests:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await read_all(driver, b) == {"x": 2010}


async def test_a_cancellation_that_meets_the_answer_in_one_turn_of_the_loop_is_not_lost(faulty):
    a, _ = two_units()

    async def poll_for_ever(driver):
        while True:
            await read_all(driver, a)

    async with rig(faulty, a, timeout_s=5.0) as driver:
        for turns in range(120):  # every distance in turns of the loop between a request and the cancellation
            task = asyncio.create_task(poll_for_ever(driver))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            _, running = await asyncio.wait({task}, timeout=5)
            assert not running, f"still polling after a cancellation at turn {turns}"


async def test_closing_twice_and_before_connecting_is_harmless(faulty):
    a, _ = two_units()
    async with rig(faulty, a) as driver:
        await driver.close()
        await driver.close()


async def read_with_cuts(driver, device):
    """Values by path, refused paths, and the requests that worked, when every refused request is cut."""
    waiting, good, bad, worked = list(driver.plan(device, device.tags)), {}, [], []
    while waiting:
        request = waiting.pop()
        try:
            columns = await driver.read(request)
        except RequestRefused as err:
            parts = driver.split(request, err)
            waiting.extend(parts)
            bad += [] if parts else [tag.path for tag in request.block.tags]
        else:
            worked.append(request)
            good |= dict(zip([tag.path for tag in request.block.tags], columns.values, strict=True))
    return good, bad, worked


async def test_fl_26_only_the_refused_tag_is_lost_when_a_block_is_split(faulty):
    device = device_of([tag_spec(f"x{i}", f"holding/{i}") for i in range(40)], "a")
    faulty.forbidden = {17}
    async with rig(faulty, device) as driver:
        good, bad, worked = await read_with_cuts(driver, device)
    assert bad == ["x17"]
    assert good == {f"x{i}": 1000 + i for i in range(40) if i != 17}
    assert len(worked) <= 10


async def test_fl_26_a_refused_register_that_nobody_wants_costs_no_tag(faulty):
    device = device_of([tag_spec(f"x{i}", f"holding/{i}") for i in (0, 1, 5, 6)], "a")
    faulty.forbidden = {3}
    async with rig(faulty, device) as driver:
        good, bad, worked = await read_with_cuts(driver, device)
    assert (len(good), bad) == (4, [])
    assert sorted(request.text for request in worked) == ["holding/0 x 2", "holding/5 x 2"]


@pytest.mark.parametrize("limit", [16, 32, 64])
async def test_fl_26_a_device_with_an_unknown_limit_is_read_completely_after_cuts(faulty, limit):
    device = device_of([tag_spec(f"x{i}", f"holding/{i}") for i in range(125)], "a")
    faulty.max_registers = limit
    async with rig(faulty, device) as driver:
        good, bad, worked = await read_with_cuts(driver, device)
    assert (len(good), bad) == (125, [])
    assert len(worked) <= 2 * -(-125 // limit)


async def test_fl_26_later_and_unreachable_teach_nothing(faulty):
    device = device_of([tag_spec(f"x{i}", f"holding/{i}") for i in range(4)], "a")
    async with rig(faulty, device) as driver:
        request = driver.plan(device, device.tags)[0]
        assert driver.split(request, RequestRefused("busy", code=6, reason="comm")) == ()
        assert driver.split(request, DeviceUnavailable("silent")) == ()
