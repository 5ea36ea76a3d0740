"""The driver against asyncua's own server on a real socket (one author at both ends: tests/peers has another)."""

from __future__ import annotations

import json
import time

import pytest

from drivers.opcua import SPEC
from drivers.opcua.settings import DeviceSettings as Device
from drivers.opcua.settings import Events, Limits, Method, Subscription
from gateway.errors import LinkLost, RequestRefused, WriteRejected
from gateway.model import Access, Quality, Report, Tag, Transform
from gateway.testing import examine
from tests.drivers.opcua.kit import asked, at_work, channel_of, tag_spec
from tests.support.eventually import eventually
from tests.support.opcua_plant import LINE
from tests.support.ports import free_port

GOOD = Quality.GOOD
QUICK = (
    "spec", "settings", "unreachable", "run", "cancel-run", "silence", "cut", "flood", "leaks", "counters", "looks",
    "methods", "trace",
)  # fmt: skip
"""The others need a minute: tests/e2e/long/test_conformance_of_drivers.py."""


def readings(ctx, name):
    """(value, ts, quality) of a tag, as published."""
    found = []
    for batch in ctx.batches:
        codes = batch.quality or [0] * len(batch)
        for tag, value, code in zip(batch.tags, batch.values, codes, strict=True):
            if tag.path == name:
                found.append((value, batch.ts, code))
    return found


async def test_it_keeps_the_contract(plant):
    channel = channel_of(plant.url, [tag_spec("Speed"), tag_spec("Count", kind="int32")])
    report = await examine(SPEC, channel, only=QUICK)
    assert report.findings == []
    assert {*report.skipped} <= {"write", "write-refused", "write-silent"}


async def test_values_of_all_kinds_come_with_their_source_time_to_the_millisecond(plant):
    tags = [
        tag_spec("Speed"),
        tag_spec("Count", kind="int32"),
        tag_spec("Small", kind="uint16"),
        tag_spec("Run", kind="bool"),
        tag_spec("Name", kind="string"),
        tag_spec("Started", kind="string"),
        tag_spec("Speeds", kind="object"),
        tag_spec("second", f"nsu={LINE};s=Line.Speeds#[1]"),
        tag_spec("path", "/Objects/Line/Count", "int32"),
        tag_spec("scaled", f"nsu={LINE};s=Line.Count", "int32", transform=Transform(scale=0.5)),
    ]
    async with at_work(channel_of(plant.url, tags)) as (ctx, _):
        await eventually(lambda: len(ctx.latest()) == len(tags))
        latest = {name.partition(".")[2]: value for name, value in ctx.latest().items()}
        assert latest == {
            "Speed": (100.5, GOOD), "Count": (7, GOOD), "Small": (3, GOOD), "Run": (True, GOOD),
            "Name": ("press", GOOD), "Started": ("2026-01-02T03:04:05.000Z", GOOD), "Speeds": ("[1.0,2.0,3.0]", GOOD),
            "second": (2.0, GOOD), "path": (7, GOOD), "scaled": (3.5, GOOD),
        }  # fmt: skip
        moments = [1_767_225_600_123, 1_767_225_600_124, 1_767_225_601_999]
        for number, moment in enumerate(moments):
            await plant.say("put", "Speed", 200.0 + number, moment)
            await eventually(lambda n=number: ctx.latest()["line.Speed"][0] == 200.0 + n)
        assert readings(ctx, "Speed")[1:] == [(200.0 + i, moment, 0) for i, moment in enumerate(moments)]
        await plant.say("put", "Speed", 100.5)


async def test_fl_36_one_bad_node_of_a_thousand_has_its_status_and_the_others_flow(plant):
    tags = [tag_spec(f"N{number:04d}") for number in range(999)]
    tags.insert(500, tag_spec("nobody"))
    async with at_work(channel_of(plant.url, tags)) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == 1000)
        latest = ctx.latest()
        assert latest.pop("line.nobody") == (None, Quality.BAD_CONFIG)
        assert latest == {f"line.N{number:04d}": (float(number), GOOD) for number in range(999)}
        assert ctx.remarks["line.nobody"].startswith("BadNodeIdUnknown")
        assert driver.counters()["bad_nodes"] == 1
        assert len(readings(ctx, "nobody")) == 1


async def test_a_node_that_comes_later_is_found(plant):
    async with at_work(channel_of(plant.url, [tag_spec("Late"), tag_spec("late", "/Objects/Line/Late")])) as (ctx, _):
        await eventually(lambda: len(ctx.remarks) == 2)
        await plant.say("add", "Late", 5.0)
        await eventually(lambda: ctx.latest()["line.Late"] == ctx.latest()["line.late"] == (5.0, GOOD), within=20)
        assert ctx.remarks == {}
        await plant.say("delete", "Late")


async def test_polls_bring_a_value_once_and_keep_it_fresh(plant):
    await plant.say("put", "Speed", 1.25, 1_767_225_600_500)
    async with at_work(channel_of(plant.url, [tag_spec("Speed"), tag_spec("nobody")], every_s=0.05, read="poll")) as (
        ctx,
        driver,
    ):
        await eventually(lambda: driver.counters().get("poll_rounds", 0) > 10)
        assert readings(ctx, "Speed") == [(1.25, 1_767_225_600_500, 0)]
        assert [row[0] for row in readings(ctx, "nobody")] == [None]
        assert ctx.remarks["line.nobody"].startswith("BadNodeIdUnknown")
        await plant.say("put", "Speed", 2.25, 1_767_225_600_501)
        await eventually(lambda: ctx.latest()["line.Speed"] == (2.25, GOOD))
        assert "line" in ctx.fresh_devices
    await plant.say("put", "Speed", 100.5)


async def test_requests_are_cut_to_what_the_server_takes(plant):
    tags = [tag_spec(f"N{number:04d}") for number in range(50)]
    limits = Limits(nodes_per_read=7, items_per_call=9, items_per_subscription=20)
    async with at_work(channel_of(plant.url, tags, limits=limits)) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == 50)
        device = ctx.devices[0]
        assert await asked(driver, device, *device.tags) == [float(number) for number in range(50)]


async def test_a_deadband_is_the_servers_work(plant):
    await plant.say("put", "Speed", 100.0)
    tags = [tag_spec("Speed", report=Report(deadband=1.0)), tag_spec("all", f"nsu={LINE};s=Line.Speed")]
    async with at_work(channel_of(plant.url, tags)) as (ctx, _):
        await eventually(lambda: len(ctx.latest()) == 2)
        for value in (100.4, 100.8, 102.0):
            await plant.say("put", "Speed", value)
            await eventually(lambda v=value: ctx.latest()["line.all"][0] == v)
        assert [row[0] for row in readings(ctx, "Speed")] == [100.0, 102.0]
    await plant.say("put", "Speed", 100.5)


async def test_a_keep_alive_says_that_all_is_still_true(plant):
    subscription = Subscription(keep_alive=0.5)
    async with at_work(channel_of(plant.url, [tag_spec("Speed")], subscription=subscription)) as (ctx, driver):
        await eventually(lambda: driver.counters().get("keep_alives", 0) >= 2)
        await eventually(lambda: len(ctx.fresh_devices) >= 2)
        assert len(readings(ctx, "Speed")) == 1


def tag_of(ctx, path):
    return ctx.devices[0].tag(path)


@pytest.mark.parametrize(
    ("name", "kind", "value", "shown"),
    [
        ("Speed", "float64", 3.5, 3.5),
        ("Count", "int32", -5, -5),
        ("Small", "uint16", 255, 255),
        ("Run", "bool", False, False),
        ("Name", "string", "presse ä", "presse ä"),
        ("Setpoint", "float32", 0.5, 0.5),
        ("Speeds", "object", "[4.0,5.0,6.0]", [4.0, 5.0, 6.0]),
        ("Started", "string", "2026-03-04T05:06:07Z", None),
    ],
)
async def test_a_write_has_the_nodes_own_type(plant, name, kind, value, shown):
    before = await plant.say("get", name)
    async with at_work(channel_of(plant.url, [tag_spec(name, kind=kind, access=Access.READ_WRITE)])) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        device, tag = ctx.devices[0], tag_of(ctx, name)
        await driver.write(device, tag, value)
        if shown is not None:
            assert await plant.say("get", name) == shown
        expected = "2026-03-04T05:06:07.000Z" if name == "Started" else value
        assert await asked(driver, device, tag) == [expected]
        if name != "Started":
            await driver.write(device, tag, json.dumps(before) if kind == "object" else before)


async def test_writes_that_do_not_fit_never_reach_the_server(plant):
    tags = [tag_spec("Small", kind="int32"), tag_spec("Speeds", kind="object"), tag_spec("Axis", kind="object")]
    tags.append(tag_spec("beyond", f"nsu={LINE};s=Line.Speeds#[9]"))
    async with at_work(channel_of(plant.url, tags)) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        device = ctx.devices[0]
        for path, value, word in (
            ("Small", 256, "Byte"),
            ("Speeds", '["x"]', "Double"),
            ("Speeds", '{"a":1}', "list"),
            ("Axis", '{"nothing":1}', "no field nothing"),
            ("beyond", 1.0, "no element"),
        ):
            with pytest.raises(WriteRejected, match=word) as refused:
                await driver.write(device, tag_of(ctx, path), value)
            assert refused.value.code == 422
        assert await plant.say("get", "Small") == 3


async def test_parts_of_arrays_and_structures_are_read_and_written(plant):
    tags = [
        tag_spec("Axis", kind="object"),
        tag_spec("position", f"nsu={LINE};s=Line.Axis#.position"),
        tag_spec("enabled", f"nsu={LINE};s=Line.Axis#.enabled", "bool"),
        tag_spec("third", f"nsu={LINE};s=Line.Speeds#[2]"),
        tag_spec("wrong", f"nsu={LINE};s=Line.Axis#.speed"),
    ]
    async with at_work(channel_of(plant.url, tags)) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == 5)
        device = ctx.devices[0]
        assert json.loads(ctx.latest()["line.Axis"][0]) == {"position": 1.5, "label": "x", "enabled": True}
        assert ctx.latest()["line.wrong"] == (None, Quality.BAD_CONFIG)
        assert "position, label, enabled" in ctx.remarks["line.wrong"]
        await driver.write(device, tag_of(ctx, "position"), 8.5)
        await driver.write(device, tag_of(ctx, "third"), 33.0)
        await driver.write(device, tag_of(ctx, "Axis"), '{"label":"y"}')
        await eventually(lambda: ctx.latest()["line.position"] == (8.5, GOOD))
        await eventually(lambda: ctx.latest()["line.third"] == (33.0, GOOD))
        (found,) = await asked(driver, device, tag_of(ctx, "Axis"))
        assert json.loads(found) == {"position": 8.5, "label": "y", "enabled": True}
        await driver.write(device, tag_of(ctx, "Axis"), '{"position":1.5,"label":"x"}')
        await driver.write(device, tag_of(ctx, "third"), 3.0)


async def test_methods_take_arguments_by_name_and_say_what_is_wrong(plant):
    own = Device(methods={"add": Method(f"nsu={LINE};s=Line.Add"), "fail": Method("/Objects/Line/Fail")})
    async with at_work(channel_of(plant.url, [tag_spec("Speed")], device=own)) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        device = ctx.devices[0]
        assert await driver.call(device, "add", {"b": 2, "a": 1.5}) == {"sum": 3.5}
        assert await driver.call(device, f"nsu={LINE};s=Line.Add", {"a": 1, "b": 1}) == {"sum": 2.0}
        with pytest.raises(RequestRefused, match="method fail failed: BadInvalidState: "):
            await driver.call(device, "fail", {})
        for method, args, code in (
            ("add", {"a": 1}, 422),
            ("add", {"a": 1, "b": "x"}, 422),
            ("add", {"a": 1, "b": 1, "c": 1}, 422),
            ("nothing", {}, 404),
            (f"nsu={LINE};s=Line.Nothing", {}, 404),
        ):
            with pytest.raises(WriteRejected) as refused:
                await driver.call(device, method, args)
            assert refused.value.code == code
        assert [row["method"] for row in driver.methods(device)] == ["add", "fail"]


async def test_the_address_space_is_shown_as_a_tree_with_keys_to_paste(plant):
    async with at_work(channel_of(plant.url, [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.linked and ctx.latest())
        items = [item async for item in driver.browse({})]
        rows = {item["path"]: item for item in items if "path" in item}
        assert rows["Line/Speed"] == {
            "address": f"nsu={LINE};s=Line.Speed", "name": "Speed", "path": "Line/Speed", "kind": "variable",
            "type": "float64", "access": "rw",
            "keys": {"address": f"nsu={LINE};s=Line.Speed", "type": "float64", "access": "rw"},
            "value": 100.5,
        }  # fmt: skip
        assert (rows["Line"]["kind"], rows["Line/Add"]["kind"]) == ("folder", "method")
        assert sum(path.startswith("Line/Bulk/N") for path in rows) == 1000
        assert list(rows).index("Line/Bulk") < list(rows).index("Line/Bulk/N0000")
        few = [
            i["path"]
            async for i in driver.browse({"at": f"nsu={LINE};s=Line", "depth": 1, "filter": "speed"})
            if "path" in i
        ]
        assert few == ["Speed", "Speeds"]
        with pytest.raises(ValueError, match="no option deep"):
            await anext(driver.browse({"deep": 1}))
        with pytest.raises(ValueError, match="no 'Nowhere'"):
            await anext(driver.browse({"at": "/Objects/Nowhere"}))
        shown = [i["value"] async for i in driver.browse({"at": "/Objects/Line", "filter": "Count"}) if "path" in i]
        assert shown == [7]
        odd = [i async for i in driver.browse({"at": "/Objects/Line", "depth": 1}) if "path" in i]
        keys = {i["name"]: (i["keys"].get("address"), i["value"]) for i in odd if i["kind"] == "variable"}
        assert keys["we ird/na.me#[0]"] == (f"nsu={LINE};s=Line.we ird/na.me#[0]#", 5)
        assert keys["Raw"][1] == "00ff10", "bytes are hex, as in `tags`"
        shown = [i["value"] async for i in driver.browse({"at": "/Objects/Line/we ird&/na.me#[0]#"}) if "path" in i]
        assert shown == []
        spec = tag_spec("odd", keys["we ird/na.me#[0]"][0], "int32")
        assert await asked(driver, ctx.devices[0], Tag("line", "odd", -1, -1, spec)) == [5]


async def test_a_folder_that_holds_itself_is_shown_once(plant):
    await plant.say("crowd", 250)
    async with at_work(channel_of(plant.url, [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        options = {"at": f"nsu={LINE};s=Line", "filter": "Crowd*"}
        paths = [item["path"] async for item in driver.browse(options) if "path" in item]
        assert len(paths) == len(set(paths))
        variables = [path for path in paths if path.count("/") == 2]
        assert sorted(variables) == [f"Crowd/Crowd.{n // 100:05d}/{100_000 + n}" for n in range(250)]


async def test_what_is_asked_for_has_its_source_time_and_never_the_time_of_asking(plant):
    await plant.say("put", "Speed", 12.5, 1_767_225_600_123)
    await plant.say("put", "Setpoint", 0.5, 1_767_225_600_456)
    tags = [tag_spec("Speed"), tag_spec("Setpoint", kind="float32"), tag_spec("nobody"), tag_spec("no", "/Objects/No")]
    async with at_work(channel_of(plant.url, tags)) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == 4)
        device = ctx.devices[0]
        rows = {}
        for columns in await driver.ask(device, device.tags):
            codes = columns.quality or [0] * len(columns.values)
            rows |= {i: (v, c, columns.ts) for i, v, c in zip(columns.index, columns.values, codes, strict=True)}
        assert rows[0] == (12.5, 0, 1_767_225_600_123)
        assert rows[1] == (0.5, 0, 1_767_225_600_456)
        assert rows[2][:2] == rows[3][:2] == (None, Quality.BAD_CONFIG)
    await plant.say("put", "Speed", 100.5)
    await plant.say("put", "Setpoint", 20.0)


async def test_a_scan_tells_endpoints_and_what_to_write(plant):
    async with at_work(channel_of(plant.url, [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.linked)
        found = [item async for item in driver.scan({})]
        assert found[0]["policy"] == "None"
        assert found[0]["identities"] == ["anonymous", "user"]
        assert found[0]["keys"] == {"driver": "opcua", "url": plant.url}
        assert found[-1] == {"done": 1, "of": 1}


async def test_events_of_the_server_become_entries(plant):
    async with at_work(channel_of(plant.url, [tag_spec("Speed")], device=Device(events=Events(severity=300)))) as (
        ctx,
        _,
    ):
        await eventually(lambda: ctx.latest())
        await plant.say("event", "too little pressure", 200)
        await plant.say("event", "too much pressure", 700)
        await eventually(lambda: ctx.events)
        device, what, fields = ctx.events[-1]
        assert (device, what, fields["message"], fields["severity"]) == ("line", "event", "too much pressure", 700)
        assert "too little pressure" not in {fields["message"] for _, _, fields in ctx.events}


async def test_a_trace_shows_requests_and_answers(plant):
    async with at_work(channel_of(plant.url, [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ctx.latest())
        frames = []
        driver.trace(frames.append)
        device = ctx.devices[0]
        await driver.ask(device, device.tags)
        assert [frame.text.partition(";")[0] for frame in frames] == ["Read x 1 nodes", "Read answered"]
        assert frames[0].sending
        assert frames[0].data
        await plant.say("put", "Speed", 1.0)
        await plant.say("put", "Speed", 100.5)
        await eventually(lambda: "1 values" in frames[-1].text or "2 values" in frames[-1].text)
        driver.trace(None)
        count = len(frames)
        await driver.ask(device, device.tags)
        assert len(frames) == count


async def test_nobody_there_is_an_offline_device_and_no_crash():
    channel = channel_of(f"opc.tcp://127.0.0.1:{free_port()}", [tag_spec("Speed")])
    async with at_work(channel) as (ctx, driver):
        await eventually(lambda: ctx.states)
        assert ctx.states[0][1].startswith("offline: 127.0.0.1:")
        assert not ctx.linked
        with pytest.raises(LinkLost):
            await driver.ask(ctx.devices[0], ctx.devices[0].tags)


async def test_values_that_share_a_moment_are_one_batch(plant):
    tags = [tag_spec(f"N{number:04d}") for number in range(100)]
    async with at_work(channel_of(plant.url, tags)) as (ctx, _):
        await eventually(lambda: len(ctx.latest()) == 100)
        ctx.batches.clear()
        now = time.time_ns() // 1_000_000
        await plant.say("storm", 2)
        await eventually(lambda: len(ctx.batches) >= 3)
        await plant.say("calm")
        whole = [batch for batch in ctx.batches if len(batch) == 100]
        assert whole
        assert all(batch.ts >= now for batch in whole)
