"""Values that only field devices have: texts, BCD, mod-10k, 24 and 48 bits, scale factors, sets read together.

The oracle below is written from the manuals' words and shares nothing with the driver.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import WriteRejected
from gateway.model import Quality
from tests.drivers.modbus.kit import channel_of, device_of, driver_on, read_all, tag_spec

ORDERS = {
    1: ["AB", "BA"],
    2: ["ABCD", "BADC", "CDAB", "DCBA"],
    3: ["ABCDEF", "EFCDAB", "BADCFE", "FEDCBA"],
    4: ["ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA", "CDABGHEF"],
}
KINDS = {
    "int24": (2, -(2**23), 2**23 - 1),
    "uint24": (2, 0, 2**24 - 1),
    "int48": (3, -(2**47), 2**47 - 1),
    "uint48": (3, 0, 2**48 - 1),
    "bcd16": (1, 0, 9999),
    "bcd32": (2, 0, 99_999_999),
    "mod10k32": (2, 0, 99_999_999),
    "mod10k64": (4, 0, 10**16 - 1),
}


def registers(kind: str, order: str, value: int) -> list[int]:
    """What a device with this value holds."""
    size = KINDS[kind][0]
    if kind.startswith("bcd"):
        whole = bytes.fromhex(str(value).rjust(4 * size, "0"))
    elif kind.startswith("mod10k"):
        digits = str(value).rjust(4 * size, "0")
        whole = b"".join(int(digits[i : i + 4]).to_bytes(2, "big") for i in range(0, len(digits), 4))
    else:
        whole = (value % 2 ** (16 * size)).to_bytes(2 * size, "big")
    wire = [whole["ABCDEFGH".index(letter)] for letter in order]
    return [wire[i] * 256 + wire[i + 1] for i in range(0, len(wire), 2)]


@st.composite
def cells(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    size, low, high = KINDS[kind]
    return kind, draw(st.sampled_from(ORDERS[size])), draw(st.integers(low, high))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.lists(cells(), min_size=1, max_size=6))
def test_fl_27_what_is_written_is_what_the_device_holds_and_reads_back(row):
    import asyncio

    from tests.drivers.modbus.fault_server import FaultServer

    async def play():
        async with FaultServer().running() as server:
            starts = list(itertools.accumulate((KINDS[kind][0] for kind, _, _ in row), initial=0))
            device = device_of(
                [
                    tag_spec(f"t{i}", f"holding/{starts[i]}", kind, access="rw", word_order=order)
                    for i, (kind, order, _) in enumerate(row)
                ]
            )
            async with driver_on(channel_of(device, port=server.port), device) as driver:
                for tag, (_, _, value) in zip(device.tags, row, strict=True):
                    await driver.write(device, tag, value)
                held = [server.registers[1, place] for place in range(starts[-1])]
                assert held == [word for kind, order, value in row for word in registers(kind, order, value)]
                assert list((await read_all(driver, device)).values()) == [value for _, _, value in row]

    asyncio.run(play())


async def rows(driver, device):
    """Values and qualities by path."""
    found = {}
    for request in driver.plan(device, device.tags):
        columns = await driver.read(request)
        codes = columns.quality or [0] * len(columns.values)
        for tag, value, code in zip(request.block.tags, columns.values, codes, strict=True):
            found[tag.path] = (value, Quality(code).text)
    return found


@pytest.mark.parametrize(
    ("kind", "words"), [("bcd16", [0x12A4]), ("bcd32", [0x1234, 0xF678]), ("mod10k32", [1, 10_000])]
)
async def test_digits_that_are_none_are_a_sensor_fault_and_never_a_number(faulty, kind, words):
    faulty.registers.update({(1, i): word for i, word in enumerate(words)})
    device = device_of([tag_spec("t", "holding/0", kind), tag_spec("good", "holding/9")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        assert await rows(driver, device) == {"t": (None, "bad/sensor"), "good": (1009, "good")}


async def test_a_digit_coding_takes_no_more_than_its_digits(faulty):
    device = device_of([tag_spec("t", "holding/0", "bcd16", access="rw")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        with pytest.raises(WriteRejected, match="outside 0 to 9999"):
            await driver.write(device, device.tags[0], 10_000)
    assert faulty.requests == []


async def test_texts_in_both_byte_orders_end_at_the_first_nul_and_lose_their_filling(faulty):
    words = [0x4142, 0x4344, 0x2000, 0x5858]
    swapped = [word >> 8 | (word & 0xFF) << 8 for word in words]
    faulty.registers.update({(1, i): word for i, word in enumerate(words + swapped)})
    device = device_of(
        [
            tag_spec("a", "holding/0", "string", length=8),
            tag_spec("b", "holding/4", "string", length=8, word_order="BADC"),
            tag_spec("odd", "holding/0", "bytes", length=3),
            tag_spec("n", "holding/20"),
        ]
    )
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        assert await read_all(driver, device) == {"a": "ABCD", "b": "ABCD", "odd": b"ABC", "n": 1020}


async def test_a_text_is_written_with_what_fits_and_refused_beyond(faulty):
    device = device_of([tag_spec("s", "holding/0", "string", length=5, access="rw")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        await driver.write(device, device.tags[0], "Grü")
        assert await read_all(driver, device) == {"s": "Grü"}
        with pytest.raises(WriteRejected, match="6 bytes do not fit into 5"):
            await driver.write(device, device.tags[0], "sechs!")


@pytest.mark.parametrize(
    ("kind", "value", "code"), [("string", "\ud800", 400), ("bytes", b"\1\2", 422), ("bytes", b"", 422)]
)
async def test_a_text_that_cannot_be_held_as_it_is_reaches_no_device(faulty, kind, value, code):
    """Fewer bytes than the tag has would leave the rest to chance; half a surrogate pair is no character."""
    device = device_of([tag_spec("t", "holding/0", kind, length=3, access="rw")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        with pytest.raises(WriteRejected) as caught:
            await driver.write(device, device.tags[0], value)
    assert (caught.value.code, faulty.requests) == (code, [])


@pytest.mark.parametrize(
    ("raw", "exponent", "value"), [(2413, 0xFFFF, 241.3), (7, 2, 700.0), (7, 0, 7.0), (0x8001, 0xFFFE, 327.69)]
)
async def test_a_scale_factor_from_another_register_is_taken_from_the_same_answer(faulty, raw, exponent, value):
    faulty.registers.update({(1, 0): raw, (1, 40): exponent})
    device = device_of([tag_spec("v", "holding/0", scale_from="sf"), tag_spec("sf", "holding/40", "int16")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        found = await read_all(driver, device)
    assert found["v"] == value and type(found["v"]) is float
    assert len(faulty.requests) == 1, "40 registers apart, and still one answer"


@pytest.mark.parametrize("exponent", [0x8000, 11, 0xFFF5])
async def test_a_scale_factor_that_is_none_makes_the_value_a_sensor_fault(faulty, exponent):
    faulty.registers.update({(1, 0): 5, (1, 1): exponent})
    device = device_of([tag_spec("v", "holding/0", scale_from="sf"), tag_spec("sf", "holding/1", "int16")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        assert (await rows(driver, device))["v"] == (None, "bad/sensor")


async def test_a_value_with_a_scale_factor_is_written_with_the_factor_of_now(faulty):
    faulty.registers.update({(1, 0): 5, (1, 1): 0xFFFF})
    device = device_of([tag_spec("v", "holding/0", scale_from="sf", access="rw"), tag_spec("sf", "holding/1", "int16")])
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        await driver.write(device, device.tags[0], 49.5)
    assert faulty.registers[1, 0] == 495


async def test_a_coherent_set_comes_in_one_request_and_is_never_cut(faulty):
    specs = [tag_spec(f"t{i}", f"holding/{i * 30}", coherent="energy") for i in range(4)]
    specs += [tag_spec(f"u{i}", f"holding/{200 + i}") for i in range(4)]
    device = device_of(specs)
    async with driver_on(channel_of(device, port=faulty.port), device) as driver:
        requests = driver.plan(device, device.tags)
        assert [request.text for request in requests] == ["holding/0 x 91", "holding/200 x 4"]
        from gateway.errors import RequestRefused

        assert driver.split(requests[0], RequestRefused("no", code=2)) == []
        assert len(driver.split(requests[1], RequestRefused("no", code=2))) == 2
        assert (await read_all(driver, device))["t3"] == 1090
