"""Values as EdgeX writes them, and the value type that a tag has there."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edgexevents.kinds import VALUE_TYPES, known
from gateway.edgexevents.resources import resources_of
from gateway.edgexevents.values import members
from gateway.model import CommandItem, CommandSpec, DeviceSpec, Schedule, TagSpec, Transform, ValueType
from tests.unit.edgexevents import edgex_schema


def device(*tags: TagSpec, **more: Any) -> DeviceSpec:
    return DeviceSpec("d", None, tags, Schedule(1.0), **more)


def tag(path: str = "t", type_: str = "float64", **more: Any) -> TagSpec:
    return TagSpec(path, ValueType(type_), None, **more)


def kind(**of_tag: Any) -> str:
    return resources_of(device(tag(**of_tag)))["t"].kind


def test_the_value_types_are_those_of_core_contracts() -> None:
    assert set(VALUE_TYPES) == {*edgex_schema.VALUE_TYPES, "ObjectArray"}
    assert len(edgex_schema.VALUE_TYPES) == 26
    assert known("BOOL") == "Bool"
    assert known("int8ARRAY") == "Int8Array"
    assert known("Decimal") == ""


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("Int16", -5, "-5"),
        ("Uint64", 2**64 - 1, "18446744073709551615"),
        ("Bool", True, "true"),
        ("Bool", 0, "false"),
        ("Float32", 25.1, "2.51e+01"),
        ("Float64", 3, "3e+00"),
        ("Int32", 7.0, "7"),
        ("String", "grün", "grün"),
        ("Int8Array", "[1,-2,3]", "[1, -2, 3]"),
        ("Uint8Array", b"\x01\xff", "[1, 255]"),
        ("BoolArray", "[true,false]", "[true, false]"),
        ("Float32Array", "[25.1,0,-0.5]", "[2.51e+01, 0e+00, -5e-01]"),
        ("Float64Array", "[]", "[]"),
        ("StringArray", '["a, b","c"]', '["a, b", "c"]'),
    ],
)
def test_a_value_is_text_as_go_writes_it(kind: str, value: Any, text: str) -> None:
    assert members(kind, value) == {"valueType": kind, "value": text}
    assert not edgex_schema.value_fault({"valueType": kind, "value": text})


def test_bytes_and_objects_have_members_of_their_own() -> None:
    assert members("Binary", b"\xff\xd8", "image/jpeg") == {
        "valueType": "Binary",
        "binaryValue": base64.b64encode(b"\xff\xd8").decode(),
        "mediaType": "image/jpeg",
    }
    assert members("Binary", b"")["mediaType"] == "application/octet-stream"
    assert members("Object", '{"a":[1,2.5]}') == {"valueType": "Object", "objectValue": {"a": [1, 2.5]}}
    assert members("ObjectArray", '[{"a":1}]') == {"valueType": "ObjectArray", "objectValue": [{"a": 1}]}
    assert members("Float32", None) == {"valueType": "Float32", "value": None}


@pytest.mark.parametrize(
    ("kind", "value", "own"),
    [
        ("Int16", 40000, ("Int64", "40000")),
        ("Int16", 1.5, ("Float64", "1.5e+00")),
        ("Float32", 1e39, ("Float64", "1e+39")),
        ("Float64", 2**63 + 1, ("Uint64", "9223372036854775809")),
        ("Uint8", -1, ("Int64", "-1")),
        ("String", 5, ("Int64", "5")),
        ("Bool", 2, ("Int64", "2")),
        ("Object", "no JSON", ("String", "no JSON")),
        ("Int8Array", '["a"]', ("String", '["a"]')),
        ("Int64", 2**70, ("String", str(2**70))),
    ],
)
def test_a_value_that_its_type_cannot_hold_goes_under_its_own(kind: str, value: Any, own: tuple[str, str]) -> None:
    """Never cut, never wrapped round, and never an event that core-data refuses."""
    found = members(kind, value)
    assert (found["valueType"], found["value"]) == own
    assert not edgex_schema.value_fault(found)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=9),
    st.binary(max_size=9),
    st.sampled_from(["[]", "{}", "[1,2]", "[true]", "[1.5,1e40]", '["x"]', "[{}]", "[null]"]),
)


@given(st.sampled_from(VALUE_TYPES), VALUES)
def test_every_value_of_every_type_is_something_that_core_data_takes(kind: str, value: Any) -> None:
    reading = {
        "id": "00000000-0000-5000-8000-000000000000",
        "origin": 1,
        "deviceName": "d",
        "resourceName": "r",
        "profileName": "p",
        **members(kind, value),
    }
    assert not edgex_schema.faults(reading, edgex_schema.READING)
    assert not edgex_schema.value_fault(reading)


def test_the_value_type_is_that_of_the_values_not_that_of_the_wire() -> None:
    assert kind(type_="int16") == "Int16"
    assert kind(type_="uint8") == "Uint8"
    assert kind(type_="uint48") == "Uint64"
    assert kind(type_="bcd32") == "Uint32"
    assert kind(type_="int16", transform=Transform(scale=0.1)) == "Float64"
    assert kind(type_="int16", transform=Transform(base=10.0)) == "Float64"
    assert kind(type_="uint16", transform=Transform(offset=-40.0)) == "Int64"
    assert kind(type_="uint16", transform=Transform(mask=255)) == "Uint16"
    assert kind(type_="float32", transform=Transform(scale=0.1)) == "Float32"
    assert kind(type_="bytes") == "Binary"
    assert kind(type_="object") == "Object"


def test_what_an_import_noted_wins() -> None:
    assert kind(type_="object", meta=(("valueType", "Int8Array"),)) == "Int8Array"
    assert kind(type_="int16", transform=Transform(scale=0.1), meta=(("valueType", "FLOAT32"),)) == "Float32"
    assert kind(type_="int16", meta=(("valueType", "Nonsense"),)) == "Int16"
    assert kind(type_="int16", transform=Transform(edgex=ValueType.FLOAT32, scale=0.1)) == "Float32"


def test_names_are_those_of_the_import_else_ours_without_what_edgex_reserves() -> None:
    found = resources_of(
        device(
            tag("bearing1/temp"),
            tag("Room_Temperature", meta=(("name", "Room Temperature"), ("mediaType", "image/png")), unit="C"),
            profile="hvac",
            meta=(("name", "AC #1"), ("profile_name", "HVAC Unit")),
        )
    )
    plain, named = found["bearing1/temp"], found["Room_Temperature"]
    assert (plain.device, plain.profile, plain.source) == ("AC %231", "HVAC Unit", "bearing1%2Ftemp")
    assert plain.resource == "bearing1%2Ftemp"
    assert (named.resource, named.source, named.units, named.media) == (
        "Room Temperature",
        "Room Temperature",
        "C",
        "image/png",
    )
    bare = resources_of(device(tag()))["t"]
    assert (bare.device, bare.profile) == ("d", "d"), "EdgeX wants a profile's name"


def test_the_source_is_the_poll_group_or_the_command_that_has_its_tags_or_the_tag() -> None:
    commands = tuple(
        CommandSpec(name, tuple(CommandItem(path) for path in paths))
        for name, paths in (("HVACValues", "ab"), ("Part", "a"), ("One", "c"), ("Other", "c"))
    )
    tags = (tag("a", group="fast"), tag("b", group="fast"), tag("c", group="slow"), tag("d"))
    found = resources_of(device(*tags, commands=commands))
    assert {path: each.source for path, each in found.items()} == {
        "a": "HVACValues",
        "b": "HVACValues",
        "c": "slow",  # two commands have this tag: neither names it
        "d": "d",
    }
