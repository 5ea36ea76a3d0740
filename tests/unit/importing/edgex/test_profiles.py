"""Resources and commands of EdgeX profiles: each rule of meaning, and what is said about it."""

from __future__ import annotations

import gc

import pytest

from drivers.modbus.address import parse_address
from tests.unit.importing.edgex.kit import device, draw, drawn, load, modbus, notes, profile, tag

ARRAYS = [f"{name}Array" for name in ("Bool", "String", "Uint8", "Int16", "Uint64", "Float32", "Float64")]


def problems(*texts, **options):
    _, report = draw(*texts, **options)
    return [str(problem) for problem in report.problems.sorted()]


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        *(("BOOL", "bool"), ("INT16", "int16"), ("uint8", "uint8"), ("Float64", "float64"), ("string", "string")),
        *(("Binary", "bytes"), ("Object", "object"), ("ObjectArray", "object")),
        *((name, "object") for name in ARRAYS),
    ],
)
def test_value_types_are_known_in_any_case(written, ours):
    keys, _ = tag(f"{{name: t, properties: {{valueType: {written}, readWrite: R}}}}")
    assert keys["type"] == ours
    kept = keys.get("meta", {}).get("valueType")
    assert kept == (written if ours == "object" and written != "Object" else None)


def test_a_factor_with_a_fraction_makes_the_value_a_fraction_and_says_so():
    keys, report = tag(modbus("startingAddress: 1", "Int16", ', scale: "0.1"'))
    assert (keys["type"], keys["scale"]) == ("int16", 0.1)
    assert "is a fraction here" in notes(report)
    keys, report = tag(modbus("startingAddress: 1", "Int16", ", scale: 2, offset: -40"))
    assert (keys["scale"], keys["offset"]) == (2, -40)
    assert "fraction" not in notes(report)


def test_neutral_transforms_mean_nothing():
    keys, report = tag(modbus("startingAddress: 1", "Int16", ", scale: 1, offset: 0, base: 0, mask: 0, shift: 0"))
    assert not {"scale", "offset", "base", "mask", "shift"} & keys.keys()
    assert notes(report) == ""


def test_mask_and_shift_are_for_whole_numbers_and_written_without_touching_the_other_bits():
    written = modbus("startingAddress: 1", "Uint16", ", mask: 0xF00, shift: 8", "RW")
    keys, report = tag(written)
    assert (keys["mask"], keys["shift"], keys.get("access")) == (0xF00, 8, "rw")
    assert "read only" not in notes(report)
    keys, report = tag(written, strict_edgex=True)
    assert keys.get("access") is None
    assert "is read only here: with mask EdgeX has no way back" in notes(report)
    keys, report = tag(modbus("startingAddress: 1, rawType: Int16", "Float32", ", mask: 15"))
    assert "mask" not in keys
    assert "EdgeX has no mask for a Float32" in notes(report)


def test_the_type_on_the_wire_is_the_raw_type_and_the_value_type_is_kept():
    keys, _ = tag(modbus("startingAddress: 1, rawType: UINT16", "Float64", ", scale: 0.5"))
    assert (keys["type"], keys["meta"]) == ("uint16", {"valueType": "Float64"})
    strict, _ = tag(modbus("startingAddress: 1, rawType: UINT16", "Float64"), strict_edgex=True)
    assert strict["strict_edgex"] == "float64"


@pytest.mark.parametrize(
    ("kind", "swaps", "order"),
    [
        ("Int32", "isByteSwap: true", "BADC"),
        ("Float32", 'isWordSwap: "True"', "CDAB"),
        ("Uint32", "isByteSwap: true, isWordSwap: true", "DCBA"),
        ("Int64", "isByteSwap: true", "BADCFEHG"),
        ("Float64", "isWordSwap: true", "GHEFCDAB"),
        ("Uint64", "isByteSwap: true, isWordSwap: true", "HGFEDCBA"),
        ("Int16", "isByteSwap: true", None),
        ("Int32", "isByteSwap: false", None),
    ],
)
def test_swaps_are_orders_of_bytes(kind, swaps, order):
    keys, report = tag(modbus(f"startingAddress: 1, {swaps}", kind))
    assert keys.get("word_order") == order
    assert ("EdgeX ignores this in 64 bits" in notes(report)) == kind.endswith("64")
    strict, _ = tag(modbus(f"startingAddress: 1, {swaps}", kind), strict_edgex=True)
    assert strict.get("word_order") == (None if kind.endswith("64") else order)


@pytest.mark.parametrize(
    ("table", "address"),
    [
        ("COILS", "coil/3"),
        ("discretes_input", "discrete/3"),
        ("DISCRETE_INPUTS", "discrete/3"),
        ("Input_Registers", "input/3.0"),
        ("HOLDING_REGISTERS", "holding/3.0"),
    ],
)
def test_a_bool_without_a_bit_is_a_coil_or_bit_0(table, address):
    text = f"{{name: t, attributes: {{primaryTable: {table}, startingAddress: 3}}, properties: {{valueType: Bool}}}}"
    keys, _ = tag(text)
    assert keys["address"] == address


def test_a_plain_fraction_of_one_digit_is_told_since_it_is_bit_10():
    _, report = tag(modbus("startingAddress: 10.1", "Bool"))
    assert "`10.1` is bit 10 of register 10" in notes(report)
    _, report = tag(modbus('startingAddress: "10.1"', "Bool"))
    assert notes(report).count("bit") == 0


@pytest.mark.parametrize(
    ("attributes", "kind", "wrong"),
    [
        ("startingAddress: 65536", "Int16", "which is not an address"),
        ("startingAddress: -1", "Int16", "which is not an address"),
        ("startingAddress: 010", "Int16", "leading zero"),
        ('startingAddress: "1.2.3"', "Bool", "which is not a bit"),
        ("startingAddress: [1]", "Int16", "which is not an address"),
        ("startingAddress: 1e99", "Int16", "is no address"),
        ("other: 1", "Int16", "`startingAddress` is missing"),
        ("startingAddress: 1", "String", "needs `stringRegisterSize`"),
        ("startingAddress: 1, stringRegisterSize: 124", "String", "is not within 1 and 123"),
        ("startingAddress: 1", "Binary", "registers hold no Binary"),
        ("startingAddress: 1", "Int16Array", "registers hold no Int16Array"),
        ("startingAddress: 1, rawType: Half", "Float32", "is no type of registers"),
        ("startingAddress: 1, isByteSwap: perhaps", "Int32", "true or false is wanted"),
    ],
)
def test_what_makes_no_address_is_an_error_at_its_place(attributes, kind, wrong):
    found = problems(profile(modbus(attributes, kind)))
    assert any(wrong in text for text in found), found
    assert all(text.startswith("a.yaml:3:") for text in found)


@pytest.mark.parametrize("table", ["COILS", "DISCRETES_INPUT", "INPUT_REGISTERS", "HOLDING_REGISTERS"])
def test_every_address_on_the_wire_is_written_so_that_the_driver_reads_the_same(table):
    for register in (0, 1, 9998, 9999, 10000, 10001, 19999, 30001, 39999, 40001, 49999, 65535):
        text = f"{{name: t, attributes: {{primaryTable: {table}, startingAddress: {register}}}"
        keys, _ = tag(f"{text}, properties: {{valueType: Bool}}}}")
        address = parse_address(keys["address"])
        assert (address.offset, address.bit) == (register, 0 if "REGISTERS" in table else None)


def test_a_number_on_coils_is_a_row_of_as_many():
    text = "{name: t, attributes: {primaryTable: COILS, startingAddress: 20000}, properties: {valueType: Int16}}"
    keys, report = tag(text)
    assert (keys["address"], keys["type"]) == ("coil/0x4e20-0x4e2f", "int16")
    assert "a Int16 is 16 bits of the coil table" in notes(report)
    assert "no room" in problems(profile(text.replace("20000", "65530")))[0]


def test_limits_are_for_writes_only():
    keys, _ = tag(modbus("startingAddress: 1", "Float32", ', minimum: "0.5", maximum: 100', "RW"))
    assert keys["write"] == {"min": 0.5, "max": 100}
    keys, report = tag(modbus("startingAddress: 1", "Int16", ", minimum: 0"))
    assert "write" not in keys
    assert "it is never written" in notes(report)
    keys, report = tag(modbus("startingAddress: 1", "Bool", ", minimum: 0, maximum: 1, scale: 1", "RW"))
    assert "write" not in keys
    assert notes(report) == ""
    assert problems(profile(modbus("startingAddress: 1", "Int16", ", minimum: 2, maximum: 1", "RW")))


def test_an_assertion_is_an_expectation():
    keys, _ = tag(modbus("startingAddress: 1", "Int16", ', assertion: "7"'))
    assert keys["expect"] == 7
    assert "can never hold" in problems(profile(modbus("startingAddress: 1", "Int16", ", assertion: pump")))[0]


def test_unknown_keys_are_told_and_kept_as_texts():
    keys, report = tag(
        "{name: t, tag: [a], tags: {b: 1}, attributes: {x: {y: 2}}, properties: {valueType: Int16, readWrite: R, z: q}}"
    )
    assert keys["meta"] == {
        "tags": '{{"b": 1}}',  # braces are doubled: else they are parameters
        "imported.attributes.x": '{{"y": 2}}',
        "imported.z": "q",
        "imported.tag": "a",
    }
    assert all(f"`deviceResources[0].{key}`" in notes(report) for key in ("tag", "attributes.x", "properties.z"))


def test_names_that_no_path_can_hold_are_mapped_told_and_kept():
    draft, report = drawn(profile("{name: 'Room °C/1', properties: {valueType: Int16, readWrite: R}}", name='"Pump 1"'))
    (made,) = draft.profiles.values()
    ((path, keys),) = made["tags"].items()
    assert list(draft.profiles) == ["Pump_1"]
    assert (path, keys["meta"]["name"], made["meta"]["name"]) == ("Room__C_1", "Room °C/1", "Pump 1")
    assert "`Room °C/1` is called `Room__C_1` here" in notes(report)


def test_braces_in_texts_stay_texts():
    text = (
        '{name: t, description: "a {b} ${c}", attributes: {nodeId: "ns=2;s={x}"}, '
        'properties: {valueType: Int16, readWrite: R, units: "{u}"}}'
    )
    draft, _ = drawn(
        profile(text), "deviceList: [{name: d, profileName: P, protocols: {opcua: {Endpoint: 'opc.tcp://h:1'}}}]"
    )
    ((spec,),) = [device.tags for channel in load(draft).channels for device in channel.devices]
    assert (spec.description, spec.source.address, spec.unit) == ("a {b} $ {c}", "ns=2;s={x}", "{u}")


def test_a_text_identifier_with_a_number_sign_keeps_it():
    keys, _ = tag('{name: t, attributes: {nodeId: "ns=2;s=Line#[3]"}, properties: {valueType: Int16, readWrite: R}}')
    assert keys["address"] == "ns=2;s=Line#[3]#"


def test_opc_ua_methods_are_methods_and_no_tags():
    draft, report = drawn(
        profile(
            '{name: go, attributes: {methodId: "ns=2;s=Go", objectId: "ns=2;s=Line"}, properties: {valueType: String}}\n'
            '{name: v, attributes: {nodeId: "ns=2;s=V"}, properties: {valueType: Int16, readWrite: R}}',
            "{name: Both, readWrite: R, resourceOperations: [{deviceResource: go}, {deviceResource: v}]}",
        )
    )
    made = draft.profiles["P"]
    assert made["methods"] == {"go": {"address": "ns=2;s=Go", "object": "ns=2;s=Line"}}
    assert (list(made["tags"]), made["commands"]["Both"]["tags"]) == (["v"], ["v"])
    assert "`go` is a method" in notes(report)


SWITCH = modbus("startingAddress: 1", "Bool", access="RW").replace("name: t", "name: s")
MODE = modbus("startingAddress: 2", "Int16", ", maximum: 5, defaultValue: '3'", "RW").replace("name: t", "name: m")


def command(operations, access="RW", name="C"):
    return f"{{name: {name}, readWrite: {access}, resourceOperations: [{operations}]}}"


def test_texts_that_commands_agree_about_are_the_tags():
    one = "{deviceResource: s, mappings: {'true': 'ON', 'false': 'OFF'}}"
    draft, _ = drawn(profile(f"{SWITCH}\n{MODE}", f"{command(one)}\n{command('{deviceResource: s}', name='D')}"))
    assert draft.profiles["P"]["tags"]["s"]["labels"] == {"1": "ON", "0": "OFF"}
    assert "labels" not in str(draft.profiles["P"]["commands"])


def test_texts_that_differ_stay_with_their_commands_with_a_warning():
    one, two = "{deviceResource: m, mappings: {'0': Cool}}", "{deviceResource: m, mappings: {'0': Cold}}"
    draft, report = drawn(profile(MODE, f"{command(one)}\n{command(two, name='D')}"))
    commands = draft.profiles["P"]["commands"]
    assert "labels" not in draft.profiles["P"]["tags"]["m"]
    assert [commands[name]["tags"]["m"]["labels"] for name in "CD"] == [{"0": "Cool"}, {"0": "Cold"}]
    assert notes(report).count("commands have different texts for `m`") == 2


def test_texts_of_what_is_no_whole_number_are_left_out_with_a_warning():
    text = modbus("startingAddress: 2", "Float32", access="RW")
    draft, report = drawn(profile(text, command("{deviceResource: t, mappings: {'1.0': Cold}}")))
    assert "labels" not in str(draft.profiles["P"])
    assert "texts are for whole numbers and bools" in notes(report)


@pytest.mark.parametrize(
    ("written", "default"),
    [
        ("defaultValue: 1", 1),
        ("defaultValue: '0x1'", None),
        ("defaultValue: 4.0", 4),
        ("defaultValue: high", None),
        ("defaultValue: 9", None),
        ("defaultValue: Cool, mappings: {'2': Cool}", 2),
        ("x: 1", 3),
    ],
)
def test_a_default_is_the_commands_else_the_resources_and_left_out_where_it_does_not_fit(written, default):
    draft, report = drawn(profile(MODE, command(f"{{deviceResource: m, {written}}}")))
    tags = draft.profiles["P"]["commands"]["C"]["tags"]
    found = tags["m"].get("default") if isinstance(tags, dict) else None
    assert found == default
    assert ("is left out" in notes(report)) == (default is None)
    load(drawn(profile(MODE, command(f"{{deviceResource: m, {written}}}")), device())[0])


def test_a_default_of_a_reading_command_means_nothing():
    draft, _ = drawn(profile(MODE, command("{deviceResource: m, defaultValue: 1}", "R")))
    assert draft.profiles["P"]["commands"]["C"] == {"access": "r", "tags": ["m"]}


def test_a_command_can_do_what_all_of_its_members_can():
    reads = modbus("startingAddress: 3").replace("name: t", "name: r")
    both = "{deviceResource: m}, {deviceResource: r}"
    draft, report = drawn(profile(f"{MODE}\n{reads}", f"{command(both)}\n{command(both, 'W', 'D')}"))
    assert {name: each["access"] for name, each in draft.profiles["P"]["commands"].items()} == {"C": "r"}
    assert "`D` is left out" in notes(report)


def test_an_unknown_resource_of_a_command_is_an_error_with_its_line():
    found = problems(profile(MODE, command("{deviceResource: M}")))
    assert len(found) == 1
    assert found[0].startswith("a.yaml:5:")
    assert "did you mean `m`?" in found[0]


def test_what_follows_from_a_fault_that_was_told_is_not_told():
    text = profile(f"{MODE.replace('Int16', 'Int17')}\n{SWITCH}", command("{deviceResource: m}, {deviceResource: s}"))
    events = "autoEvents: [{interval: 1s, sourceName: m}, {interval: 1s, sourceName: C}]"
    (found,) = problems(text, device(more=events))
    assert "`Int17` is no value type" in found
    (found,) = problems(profile(MODE.replace("maximum: 5", "scale: 0"), command("{deviceResource: m}")))
    assert "a scale of 0 makes every value 0" in found


def test_all_errors_of_a_file_are_told_at_once():
    found = problems(
        profile(
            "{name: a, properties: {valueType: Int17, readWrite: R}}\n"
            "{name: b, properties: {valueType: Int16, readWrite: X}}\n"
            "{properties: {valueType: Int16}}\n{name: c}\n{name: d, properties: 5}\n[1]\n"
            "{name: e, properties: {valueType: Int16, scale: much}}\n{name: e, properties: {valueType: Int16}}"
        )
    )
    assert [text.split(":")[1] for text in found] == ["3", "4", "5", "6", "7", "8", "9", "10"]


def test_a_profile_of_version_1_is_refused_with_that_hint():
    (found,) = problems("name: P\ndeviceResources:\n  - name: t\n    properties: {value: {type: Int16, readWrite: R}}")
    assert "v1" in found


def test_strict_profiles_say_so_for_all_of_their_tags():
    draft, _ = drawn(profile(MODE), strict_edgex=True)
    assert draft.profiles["P"]["defaults"] == {"strict_edgex": True}


def test_a_profile_with_more_resources_than_a_channel_may_have_is_refused_as_one():
    row = "- {{name: r{}, properties: {{valueType: Int16, readWrite: R}}}}\n"
    text = "name: P\ndeviceResources:\n" + "".join(row.format(number) for number in range(20_001))
    text += "deviceCommands: [{name: c, readWrite: R, resourceOperations: [{deviceResource: r7}]}]\n"
    _, report = draw(text)
    assert [str(each) for each in report.problems.sorted()] == [
        "a.yaml:3:1: 20001 resources: a channel may have 20000 tags (split the profile)"
    ]


def test_a_large_file_is_not_searched_for_garbage_while_it_is_read():
    """What a file becomes stays: a search through all of it, again and again as it grows, is most of the time."""
    row = "- {{name: r{0}, attributes: {{primaryTable: COILS, startingAddress: {0}}}, properties: {{valueType: Bool, readWrite: R}}}}\n"
    text = "name: P\ndeviceResources:\n" + "".join(row.format(number) for number in range(3000))
    runs = []

    def count(phase, _info):
        runs.append(phase)

    gc.collect()
    gc.callbacks.append(count)
    try:
        draw(text)
    finally:
        gc.callbacks.remove(count)
    assert gc.isenabled()
    assert len(runs) <= 12
