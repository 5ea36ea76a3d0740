"""What becomes of answers: parts, types, qualities and times."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.http.jsonpath import NOTHING, compiled, joined, pick
from drivers.http.times import milliseconds
from gateway.errors import BadFrame
from gateway.model import Quality, TagSpec
from tests.drivers.http.kit import answer, channel_of, driving, found, saying, tag_spec

DOCUMENT = {
    "relays": [{"ison": True}, {"ison": False}],
    "switch:0": {"apower": 12.5},
    "sensors": [{"id": 3, "value": 21.5}, {"id": 7, "value": "19.75"}],
    "power": None,
    "time": "2026-03-29T02:30:00+02:00",
    "unix": 1_790_000_000,
    "total": 12345678901234,
    "big": 1e3,
}


async def values_of(body: Any, *tags: TagSpec, **keys: Any) -> dict[str, tuple[Any, int, int | None]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = keys.pop("headers", ())
    async with (
        saying(lambda head, _: answer(data, "200 OK", *headers)) as server,
        driving(channel_of(server.port, *tags, **keys)) as (driver, context),
    ):
        return await found(driver, context)


async def test_why_a_part_is_bad_is_told_and_taken_back() -> None:
    bodies = [b'{"a": 1, "n": null, "t": "on"}', b'{"b": 2, "n": 3, "t": 4}', b'{"a": 1, "b": 1, "n": 1, "t": 1}']
    tags = [tag_spec(name, json=name) for name in ("a", "b", "n", "t")]
    async with (
        saying(lambda _head, _: answer(bodies.pop(0))) as server,
        driving(channel_of(server.port, *tags)) as (driver, context),
    ):
        told = []
        for _ in range(3):
            await found(driver, context)
            told.append(dict(context.remarks))
    first, second, third = told
    assert first["plug.b"] == "the answer has nothing at b"
    assert first["plug.n"] == "null at n"
    assert "on" in first["plug.t"]
    assert second == {"plug.a": "the answer has nothing at a"}
    assert third == {}


@pytest.mark.parametrize(
    ("path", "kind", "value"),
    [
        ("relays[0].ison", "bool", True),
        ("relays[-1].ison", "bool", False),
        ("$.relays[1].ison", "uint16", None),
        ('["switch:0"].apower', "float64", 12.5),
        ("switch:0.apower", "float64", 12.5),
        ("sensors[id=7].value", "float64", 19.75),
        ("sensors[id=3]", "object", '{"id":3,"value":21.5}'),
        ("total", "uint64", 12345678901234),
        ("time", "string", "2026-03-29T02:30:00+02:00"),
        ("total", "uint16", None),
    ],
)
async def test_a_part_of_json_has_the_type_of_its_tag_or_is_bad_alone(path, kind, value) -> None:
    got = await values_of(DOCUMENT, tag_spec("x", kind, json=path), tag_spec("y", json="big"))
    assert got["x"][:2] == (value, 0 if value is not None else Quality.BAD_CONFIG)
    assert got["y"][:2] == (1000.0, 0)


async def test_a_null_is_no_sensor_a_missing_part_a_fault_and_both_may_mean_a_value() -> None:
    got = await values_of(
        DOCUMENT,
        tag_spec("null", json="power"),
        tag_spec("gone", json="Body.Data.PAC"),
        tag_spec("night", json="power", if_null=0),
    )
    assert got["null"][:2] == (None, Quality.BAD_SENSOR)
    assert got["gone"][:2] == (None, Quality.BAD_CONFIG)
    assert got["night"][:2] == (0.0, Quality.GOOD)


async def test_a_pattern_finds_a_value_in_a_page_of_another_charset() -> None:
    page = "<td>Außen: -3,5 °C</td><td>Feuchte: 80 %</td>".encode("latin-1")
    got = await values_of(
        page,
        tag_spec("wet", "uint16", regex=r"Feuchte: (\d+)"),
        tag_spec("cold", "string", regex=r"Außen: (\S+) °C"),
        tag_spec("nothing", regex="Wind: (.*)"),
        headers=("Content-Type: text/html; charset=ISO-8859-1",),
    )
    assert [got[path][:2] for path in ("wet", "cold")] == [(80, 0), ("-3,5", 0)]
    assert got["nothing"][:2] == (None, Quality.BAD_CONFIG)


async def test_a_pattern_that_would_take_for_ever_is_ended() -> None:
    tags = tag_spec("x", regex="(?:a+)+b"), tag_spec("y", "string", regex="a")
    got = await values_of(b"a" * 40 + b"c", *tags)
    assert got["x"][:2] == (None, Quality.BAD_CONFIG)
    assert got["y"][:2] == ("a", 0)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b"[" * 200_000, b"NaN"])
async def test_an_answer_that_is_no_json_is_a_bad_frame(body) -> None:
    with pytest.raises(BadFrame):
        await values_of(body, tag_spec("x", json="a"))


async def test_the_time_is_that_of_the_answer_and_none_is_made_up_for_one_that_says_none() -> None:
    x = tag_spec("x", json="big")
    assert (await values_of(DOCUMENT, x, device={"time": "unix"}))["x"] == (1000.0, 0, 1_790_000_000_000)
    assert (await values_of(DOCUMENT, x, device={"time": "time"}))["x"] == (1000.0, 0, 1_774_744_200_000)
    assert (await values_of(DOCUMENT, x, device={"time": "gone"}))["x"] == (1000.0, Quality.UNCERTAIN, None)


async def test_tags_of_one_path_are_one_request_and_another_time_is_another_request() -> None:
    tags = [tag_spec("a", json="a"), tag_spec("b", json="b"), tag_spec("c", json="c", time="t"), tag_spec("d", at="/d")]
    async with saying(lambda head, _: None) as server, driving(channel_of(server.port, *tags)) as (driver, context):
        device = context.devices[0]
        planned = [[tag.path for tag in request.block.tags] for request in driver.plan(device, device.tags)]
        assert planned == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize(
    ("said", "zone", "ms"),
    [
        (1_790_000_000, "UTC", 1_790_000_000_000),
        (1_790_000_000_123, "UTC", 1_790_000_000_123),
        ("1790000000.5", "UTC", 1_790_000_000_500),
        ("2026-07-01T12:00:00", "Europe/Berlin", 1_782_900_000_000),
        ("2026-07-01T12:00:00Z", "Europe/Berlin", 1_782_907_200_000),
        (0, "UTC", None),  # a plug that has not heard from its time server
        ("2000-01-01T00:00:12", "UTC", None),
        (True, "UTC", None),
        (1e300, "UTC", None),
        ([], "UTC", None),
    ],
)
def test_times_of_devices(said, zone, ms) -> None:
    assert milliseconds(said, zone) == ms


@given(st.lists(st.text(min_size=1, max_size=8) | st.integers(0, 3), max_size=5))
def test_every_path_that_browse_writes_leads_back(steps) -> None:
    document: Any = 7
    path = ""
    for step in reversed(steps):
        document = {step: document} if isinstance(step, str) else [None] * step + [document]
    for step in steps:
        path = joined(path, step)
    assert pick(document, compiled(path or "$")) == 7


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_a_value_error(text) -> None:
    try:
        steps = compiled(text)
    except ValueError:
        return
    assert pick({}, steps) is NOTHING or not steps
