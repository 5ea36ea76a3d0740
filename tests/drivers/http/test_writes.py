"""Writes: what is sent, what is refused before, and what is never sent twice."""

from __future__ import annotations

import json

import pytest

from drivers.http.peer import serve
from gateway.errors import AuthError, DeviceUnavailable, LinkLost, RequestRefused, WriteRejected
from gateway.model import TagSpec
from tests.drivers.http.kit import answer, channel_of, driving, found, saying, tag_spec

NUMBER = tag_spec("x", access="rw", json="v", set={"path": "/set", "body": {"id": 0, "on": {"v": "$value"}}})


async def sent(spec: TagSpec, value, *said) -> list[tuple[str, bytes]]:
    """What a server got, which answers `said` in turn."""
    got, answers = [], iter(said or (answer(""),))

    def say(head: str, body: bytes) -> bytes | None:
        got.append((head.splitlines()[0], body))
        return next(answers)

    try:
        async with saying(say) as server, driving(channel_of(server.port, spec, timeout_s=0.3)) as (driver, context):
            await driver.write(context.devices[0], context.devices[0].tags[0], value)
    except Exception as error:
        error.sent = got  # type: ignore[attr-defined]
        raise
    return got


@pytest.mark.parametrize(
    ("kind", "setting", "value", "line", "body"),
    [
        ("float64", {"path": "/s", "body": {"v": "$value"}}, 7.5, "POST /s", b'{"v": 7.5}'),
        ("bool", {"path": "/s", "body": {"v": "$value"}}, True, "POST /s", b'{"v": true}'),
        ("bool", {"path": "/s?t=$value", "method": "GET", "on": "on", "off": "off"}, False, "GET /s?t=off", b""),
        ("string", {"path": "/s?t=$value", "method": "PUT"}, "a b&c/ü", "PUT /s?t=a%20b%26c%2F%C3%BC", b""),
        (
            "string",
            {"body": {"v": "$value", "n": ["x $value"]}},
            'q"',
            "POST /status",
            b'{"v": "q\\"", "n": ["x q\\""]}',
        ),
        ("string", {"body": "v=$value", "content_type": "application/x-www-form-urlencoded"}, "a&b", "", b"v=a%26b"),
        ("string", {"body": '{"v": $value}', "content_type": "application/json"}, 'q"', "", b'{"v": "q\\""}'),
        ("object", {"body": {"v": "$value"}}, "[1, 2]", "", b'{"v": [1, 2]}'),
        ("uint16", {"body": "$value"}, 9, "", b"9"),
    ],
)
async def test_a_value_is_sent_as_the_place_wants_it(kind, setting, value, line, body) -> None:
    spec = tag_spec("x", kind, access="rw", set=setting)
    got = await sent(spec, value)
    assert len(got) == 1
    assert got[0][0].startswith(line)
    assert got[0][1] == body


@pytest.mark.parametrize(
    ("kind", "value"), [("uint16", 70000), ("uint16", "x"), ("string", 5), ("object", "{"), ("float64", "many")]
)
async def test_what_no_tag_can_hold_is_refused_before_anything_is_sent(kind, value) -> None:
    with pytest.raises(WriteRejected) as raised:
        await sent(tag_spec("x", kind, access="rw", set={"body": {"v": "$value"}}), value)
    assert (raised.value.code, raised.value.sent) == (422, [])


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer("no", "400 Bad"), RequestRefused),
        (answer("no", "302 Found", "Location: /"), RequestRefused),
        (answer("no", "401 No"), AuthError),
        (b"HTTP/1.1 200", DeviceUnavailable),
        (None, LinkLost),
    ],
)
async def test_a_write_is_sent_once_whatever_comes_of_it(said, error) -> None:
    with pytest.raises(error) as raised:
        await sent(NUMBER, 1.0, said)
    assert raised.value.sent == [("POST /set HTTP/1.1", b'{"id": 0, "on": {"v": 1.0}}')]


async def test_a_write_over_a_kept_connection_that_ends_is_not_sent_again() -> None:
    said = iter([answer('{"v": 1}'), None, answer("")])
    async with (
        saying(lambda head, _: next(said)) as server,
        driving(channel_of(server.port, NUMBER)) as (driver, context),
    ):
        await found(driver, context)
        with pytest.raises(LinkLost):
            await driver.write(context.devices[0], context.devices[0].tags[0], 2.0)
    assert len(server.heads) == 2


async def test_see_other_is_a_write_that_was_done_and_307_goes_where_it_leads() -> None:
    assert len(await sent(NUMBER, 1.0, answer("", "303 See", "Location: /"))) == 1
    got = await sent(NUMBER, 1.0, answer("", "307 Here", "Location: /other"), answer(""))
    assert [line for line, _ in got] == ["POST /set HTTP/1.1", "POST /other HTTP/1.1"]
    assert got[0][1] == got[1][1]


async def test_a_written_value_is_read_back() -> None:
    relay = tag_spec(
        "relay",
        "bool",
        json="relays[0].ison",
        access="rw",
        set={"method": "GET", "path": "/relay?turn=$value", "on": "on", "off": "off"},
    )
    async with serve() as port, driving(channel_of(port, relay)) as (driver, context):
        for value in (True, False, True):
            await driver.write(context.devices[0], context.devices[0].tags[0], value)
            assert (await found(driver, context))["relay"][0] is value


async def test_browsing_shows_the_leaves_as_tags_that_can_be_read() -> None:
    async with serve() as port, driving(channel_of(port, tag_spec("a", json="name"))) as (driver, _):
        items = [item async for item in driver.browse({})]
        few = [item["path"] async for item in driver.browse({"at": "/status", "filter": "meters/*"})]
        refused = [item async for item in driver.browse({"at": "/plain"})]
        with pytest.raises(ValueError, match="knows no option"):
            await anext(driver.browse({"speed": 1}))
    assert few == ["meters/0/power", "meters/0/total"]
    assert [item["kind"] for item in refused] == ["value"]  # a number alone is JSON
    assert json.dumps(items)
    made = [tag_spec(item["path"], **_keys(item["keys"])) for item in items]
    async with serve() as port, driving(channel_of(port, *made)) as (driver, context):
        got = await found(driver, context)
    assert {path: value for path, (value, _, _) in got.items()} == {item["path"]: item["value"] for item in items}


def _keys(keys: dict[str, str]) -> dict[str, str]:
    return {"kind": keys["type"], "at": keys["path"], "json": keys["json"]}
