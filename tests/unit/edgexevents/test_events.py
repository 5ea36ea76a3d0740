"""Events of segments: what core-data takes, whole, and the same again."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edgexevents.events import EventMaker
from gateway.edgexevents.names import topic_level
from gateway.edgexevents.resources import Resource
from gateway.journal import Segment
from gateway.model import Quality
from gateway.uplink.codecs.edgex import EdgexCodec
from gateway.uplink.slices import cut
from tests.unit.edgexevents.edgex_schema import VALUE_TYPES, event_faults, opened

TS = 1_795_000_000_000
EPOCH = 1_794_000_000
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="/#+$"), min_size=1)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=8), st.binary(max_size=8)
)
CODES = [int(quality) for quality in Quality]


@st.composite
def scenes(draw: Any) -> tuple[Segment, dict[int, Resource | None]]:
    borders = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    names = draw(st.lists(NAMES, min_size=6, max_size=6, unique=True))
    aliases = [10 * (entry + 1) + at for entry, n in enumerate(borders) for at in range(n)]
    resources: dict[int, Resource | None] = {}
    for alias in aliases:
        kind = draw(st.sampled_from(["", *VALUE_TYPES]))
        source = names[alias % 10 % 3]
        resource = Resource(f"d{alias // 10}", f"d{alias // 10}", names[5], source, names[alias % 10], kind)
        resources[alias] = resource if draw(st.integers(0, 9)) else None
    times = [TS + draw(st.integers(-3, 3)) for _ in borders]
    quality = {i: draw(st.sampled_from(CODES)) for i in range(len(aliases)) if draw(st.booleans())}
    segment = Segment(
        "telemetry", EPOCH, draw(st.integers(1, 2**50)), len(aliases), min(times), max(times), 3, "b", 0, "s",
        borders, times, aliases, [draw(VALUES) for _ in aliases], quality,
    )  # fmt: skip
    return segment, resources


def events(segment: Segment, resources: dict[int, Resource | None], **more: Any) -> list[dict[str, Any]]:
    maker = EventMaker("gw", **more)
    return [maker.event(segment, resources, group) for group in maker.groups(segment, resources)]


def one(value: Any, *, quality: int = 0, kind: str = "Float32", all_qualities: bool = False, **of: Any) -> Any:
    segment = Segment("telemetry", EPOCH, 7, 1, TS, TS, 3, "b", 0, "s", [1], [TS], [1], [value], {0: quality})
    resource = Resource("d", "d", "p", "r", "r", kind, **of)
    found = events(segment, {1: resource}, all_qualities=all_qualities)
    return found[0]["readings"][0] if found else None


@given(scenes(), st.booleans())
def test_every_event_is_one_that_core_data_takes(scene: tuple[Segment, Any], everything: bool) -> None:
    segment, resources = scene
    for event in events(segment, resources, all_qualities=everything):
        assert not (found := event_faults(json.loads(json.dumps(event)))), found


@given(scenes())
def test_every_carried_reading_is_in_exactly_one_event_with_all_qualities(scene: tuple[Segment, Any]) -> None:
    segment, resources = scene
    carried = [alias for alias in segment.aliases if resources[alias] is not None]
    found = events(segment, resources, all_qualities=True)
    told = [(event["deviceName"], each["resourceName"]) for event in found for each in event["readings"]]
    assert sorted(told) == sorted((resources[alias].device, resources[alias].resource) for alias in carried)
    ids = [event["id"] for event in found] + [each["id"] for event in found for each in event["readings"]]
    assert len(set(ids)) == len(ids)
    assert len({event["origin"] for event in found}) == len(found)


@given(scenes(), st.integers(1, 4))
def test_the_same_reading_is_the_same_event_however_the_journal_is_cut(scene: tuple[Segment, Any], limit: int) -> None:
    """What is sent again is the same to the byte."""
    segment, resources = scene
    whole = events(segment, resources)
    pieces: list[dict[str, Any]] = []
    rest: Segment | None = segment
    while rest is not None:
        part, rest = cut(rest, limit)
        pieces += events(part, resources)
    assert pieces == whole


def test_ids_depend_on_gateway_epoch_and_number_and_nothing_else() -> None:
    segment = Segment("telemetry", EPOCH, 7, 1, TS, TS, 3, "b", 0, "s", [1], [TS], [1], [5.0])
    resources = {1: Resource("d", "d", "p", "r", "r", "Float32")}
    first = events(segment, resources)[0]
    space = uuid.uuid5(uuid.NAMESPACE_URL, "urn:fieldpost:edgex")
    assert first["id"] == str(uuid.uuid5(space, f"event/gw/telemetry/{EPOCH}/7")), "for ever: consumers know it"
    assert first["readings"][0]["id"] == str(uuid.uuid5(space, f"reading/gw/telemetry/{EPOCH}/7"))
    segment.values, segment.quality, resources[1] = [6.0], {}, Resource("d", "d", "p", "other", "r", "Int16")
    again = events(segment, resources)[0]
    assert (again["id"], again["readings"][0]["id"]) == (first["id"], first["readings"][0]["id"])
    segment.epoch += 1
    assert events(segment, resources)[0]["id"] != first["id"]


def test_events_of_one_millisecond_rise_by_nanoseconds() -> None:
    n = 3
    segment = Segment("telemetry", EPOCH, 7, n, TS, TS, 3, "b", 0, "s", [1] * n, [TS] * n, [1] * n, [1.0] * n)
    found = events(segment, {1: Resource("d", "d", "p", "r", "r", "Float32")})
    assert [event["origin"] for event in found] == [TS * 10**6 + 7, TS * 10**6 + 8, TS * 10**6 + 9]
    assert [event["readings"][0]["origin"] for event in found] == [event["origin"] for event in found]


def test_one_event_per_source_of_an_entry_in_order() -> None:
    segment = Segment("telemetry", EPOCH, 1, 4, TS, TS, 3, "b", 0, "s", [4], [TS], [1, 2, 3, 4], [1, 2, 3, 4])
    sources = {1: "fast", 2: "slow", 3: "fast", 4: "lone"}
    resources = {alias: Resource("d", "d", "p", source, f"r{alias}", "Int16") for alias, source in sources.items()}
    found = [(each["sourceName"], [r["value"] for r in each["readings"]]) for each in events(segment, resources)]
    assert found == [("fast", ["1", "3"]), ("slow", ["2"]), ("lone", ["4"])]


def test_only_good_readings_go_out_unless_all_are_asked_for() -> None:
    assert one(25.1)["value"] == "2.51e+01"
    assert one(25.1, quality=Quality.LOCAL_OVERRIDE) is not None
    assert "tags" not in one(25.1)
    assert one(25.1, quality=Quality.STALE) is None
    assert one(None, quality=Quality.BAD_COMM) is None
    assert one(float("nan")) is None
    told = one(None, quality=Quality.BAD_COMM, all_qualities=True)
    assert (told["valueType"], told["value"], told["tags"]) == ("Float32", None, {"quality": "bad/comm"})
    assert one(float("inf"), all_qualities=True)["tags"] == {"quality": "bad/range"}
    assert one(3.0, all_qualities=True)["tags"] == {"quality": "good"}


@pytest.mark.parametrize("everything", [False, True])
def test_a_strict_tag_tells_overflow_and_nan_as_edgex_does(everything: bool) -> None:
    told = one(None, quality=Quality.BAD_RANGE, strict=True, all_qualities=everything)
    assert (told["valueType"], told["value"]) == ("String", "overflow")
    told = one(float("nan"), quality=Quality.BAD_SENSOR, strict=True, all_qualities=everything)
    assert (told["valueType"], told["value"]) == ("String", "NaN")
    assert one(None, quality=Quality.BAD_RANGE) is None, "not strict"
    assert one(25.1, strict=True)["valueType"] == "Float32"


@given(scenes())
def test_messages_of_the_bus_pass_what_core_data_checks_of_topic_and_event(scene: tuple[Segment, Any]) -> None:
    segment, resources = scene
    letters = list(EdgexCodec("acme", "gw-1").letters(segment, resources, 1_000_000))
    found = [opened(letter.topic, letter.payload) for letter in letters]
    assert found == events_as_json(segment, resources)
    for letter in letters:
        assert not set("+#\0") & set(letter.topic)
        assert letter.topic.startswith("edgex/events/device/gw-1/")


def events_as_json(segment: Segment, resources: dict[int, Resource | None]) -> list[dict[str, Any]]:
    maker = EventMaker("gw-1")
    made = [maker.event(segment, resources, group) for group in maker.groups(segment, resources)]
    return json.loads(json.dumps(made))


@given(NAMES)
def test_a_name_of_unreserved_characters_stands_in_the_topic_as_it_is(name: str) -> None:
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~:;="
    assert (topic_level(name) == name) == (set(name) <= set(plain))


def test_an_event_too_large_for_a_message_goes_in_several_and_one_reading_too_large_in_none() -> None:
    n = 20
    values = ["x" * 50] * n
    values[3] = "y" * 5000
    segment = Segment("telemetry", EPOCH, 101, n, TS, TS, 3, "b", 0, "s", [n], [TS], list(range(n)), values)
    resources = {i: Resource("d", "d", "p", "all", f"r{i}", "String") for i in range(n)}
    letters = list(EdgexCodec("acme", "gw", "plain", envelope=False).letters(segment, resources, 2000))
    fits, unfit = [each for each in letters if each.topic], [each for each in letters if not each.topic]
    assert [(each.first, each.last) for each in unfit] == [(104, 104)]
    assert max(len(each.payload) for each in fits) <= 2000
    found = [json.loads(each.payload) for each in fits]
    told = [reading["resourceName"] for event in found for reading in event["readings"]]
    assert told == [f"r{i}" for i in range(n) if i != 3]
    assert len({event["id"] for event in found}) == len(found)
    assert {each.topic for each in fits} == {"plain"}
