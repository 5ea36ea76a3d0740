"""What is accepted as an address or an option, and what the errors say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import SPEC
from drivers.modbus.address import Address, AddressError, Range, Table, classic, parse_address, parse_range
from drivers.modbus.point import limits_of
from drivers.modbus.settings import ChannelSettings, DeviceSettings
from gateway.model import Schedule
from tests.drivers.modbus.kit import channel_of, device_of, tag_spec

HOLDING_100 = Address(Table.HOLDING, 100)


def faults(*specs, channel=None, **device):
    dev = device_of(list(specs), **device)
    return [(f.path, f.message, f.hint) for f in SPEC.check(channel_of(dev, **(channel or {})))]


def only_fault(*specs, **options):
    found = faults(*specs, **options)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("text", ["holding/100", "holding/0x64", "Holding/100", "40101", 40101, "400101", 400101])
def test_all_forms_of_a_holding_register_are_the_same_place(text):
    assert parse_address(text) == HOLDING_100


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("input/7", Address(Table.INPUT, 7)),
        ("30008", Address(Table.INPUT, 7)),
        ("coil/3", Address(Table.COIL, 3)),
        (1, Address(Table.COIL, 0)),
        ("000001", Address(Table.COIL, 0)),
        (10001, Address(Table.DISCRETE, 0)),
        ("holding/100.3", Address(Table.HOLDING, 100, 3)),
        ("40101.15", Address(Table.HOLDING, 100, 15)),
        ("465536", Address(Table.HOLDING, 65535)),
        ("holding/0x9ca5", Address(Table.HOLDING, 40101)),
    ],
)
def test_the_other_tables_bits_and_borders_are_read(text, place):
    assert parse_address(text) == place


@given(table=st.sampled_from(list(Table)), offset=st.integers(0, 65535))
def test_both_notations_that_an_error_shows_lead_back_to_the_same_place(table, offset):
    place = Address(table, offset)
    assert parse_address(classic(table, offset)) == place
    assert parse_address(f"{table}/0x{offset:x}") == place


def test_a_classic_number_behind_a_table_is_refused_with_its_likely_meaning():
    with pytest.raises(AddressError) as caught:
        parse_address("holding/40101")
    assert "holding/100 (40101, 0x64)" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["holding", "40000", "99999", "holding/-1", "holding/65536", "4x101", "", "coil/1.2", "holding/1.16", 40101.3],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(AddressError):
        parse_address(text)


def test_manuals_that_count_from_one_are_followed_on_request():
    assert parse_address("holding/101", address_base=1) == HOLDING_100
    assert parse_address("40101", address_base=1) == HOLDING_100
    assert parse_address("holding/100.1", bit_base=1).bit == 0
    with pytest.raises(AddressError):
        parse_address("holding/0", address_base=1)
    with pytest.raises(AddressError):
        parse_address("holding/1.0", bit_base=1)


def test_a_range_is_read_and_one_that_runs_backwards_is_refused():
    assert str(parse_range("holding/40-49")) == "holding/40-49"
    with pytest.raises(AddressError):
        parse_range("holding/49-40")


def test_a_number_in_a_bit_table_is_a_fault_that_shows_the_register_meant():
    path, message, hint = only_fault(tag_spec("t", 100, "uint16"))
    assert path == "devices.dev.tags.t.type"
    assert "coil/99 (00100, 0x63)" in message
    assert "holding/100 (40101, 0x64)" in hint


@pytest.mark.parametrize(
    ("field", "spec", "options"),
    [
        ("address", tag_spec("t", "holding/65535", "uint32"), {}),
        ("address", tag_spec("t", "holding/41", "float64"), {"forbidden": ("holding/44",)}),
        ("address", tag_spec("t", "holding/0", "float64"), {"max_registers": 3}),
        ("type", tag_spec("t", "holding/0.3", "uint16"), {}),
        ("length", tag_spec("t", "holding/0", "string"), {}),
        ("length", tag_spec("t", "holding/0", "bytes", length=251), {}),
        ("word_order", tag_spec("t", "holding/0", "int48", word_order="CDAB"), {}),
        ("length", tag_spec("t", "holding/0", "uint16", length=4), {}),
        ("access", tag_spec("t", "input/0", access="rw"), {}),
        ("access", tag_spec("t", "discrete/0", "bool", access="w"), {}),
        ("access", tag_spec("t", "holding/0", access="rw"), {"unit_id": 0}),
        ("word_order", tag_spec("t", "holding/0", "uint32", word_order="ABDC"), {}),
        ("word_order", tag_spec("t", "holding/0", "uint64", word_order="CDAB"), {}),
        ("write_with", tag_spec("t", "holding/0", "uint32", write_with="single", access="rw"), {}),
        ("scale", tag_spec("t", "coil/0", "bool", scale=2.0), {}),
    ],
)
def test_what_types_cannot_express_is_found_with_its_path(field, spec, options):
    assert only_fault(spec, **options)[0] == f"devices.dev.tags.t.{field}"


def test_an_ambiguous_order_of_64_bits_is_answered_with_both_meanings():
    _, _, hint = only_fault(tag_spec("t", "holding/0", "uint64", word_order="CDAB"))
    assert "GHEFCDAB" in hint and "CDABGHEF" in hint


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_registers", 126), ("max_registers", 0), ("max_bits", 2001), ("max_gap", -1), ("word_order", "AB")],
)
def test_options_outside_the_protocol_are_refused(option, value):
    assert only_fault(channel={option: value})[0] == option
    assert only_fault(**{option: value})[0] == f"devices.dev.{option}"


@pytest.mark.parametrize(
    "url", ["", "192.0.2.1:502", "udp://h", "tcp://h:0", "tcp://a b:1", "tcp://", "tcp://h:99999", "tcp://h/x"]
)
def test_a_url_that_this_version_cannot_use_is_refused(url):
    device = device_of([])
    channel = channel_of(device)
    settings = type(channel.settings)(url=url)
    found = list(SPEC.check(type(channel)("c", "modbus", settings, (device.spec,))))
    assert [fault.path for fault in found] == ["url"]


@pytest.mark.parametrize("line", ["00-8N1", "0960-8N1", "9600-8X1", "9600-7E1", "9600-8E3", "9600", 9600])
def test_a_serial_line_that_no_port_has_is_refused(line):
    device = device_of([tag_spec("t", "holding/0")])
    found = list(SPEC.check(channel_of(device, port={"serial": {"port": "/dev/ttyUSB0", "line": line}})))
    assert [fault.path for fault in found] == ["serial.line"]


def test_all_faults_of_a_channel_are_found_at_once():
    found = faults(tag_spec("a", "x/1"), tag_spec("b", "input/1", access="rw"), tag_spec("c", "holding/9"), unit_id=300)
    assert [path.rsplit(".", 1)[1] for path, *_ in found] == ["unit_id", "address", "access"]


def test_importing_the_driver_for_its_settings_loads_no_protocol_library():
    code = "import sys, drivers.modbus; sys.exit(any(m.split('.')[0] == 'pymodbus' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("specs", "field", "options"),
    [
        ([tag_spec("a", "holding/0", coherent="x"), tag_spec("t", "input/1", coherent="x")], "a.coherent", {}),
        ([tag_spec("a", "holding/0", coherent="x"), tag_spec("t", "holding/130", coherent="x")], "a.coherent", {}),
        (
            [tag_spec("a", "holding/0", coherent="x"), tag_spec("t", "holding/9", coherent="x")],
            "a.coherent",
            {"forbidden": ("holding/5",)},
        ),
        ([tag_spec("t", "holding/200", scale_from="sf"), tag_spec("sf", "holding/0", "int16")], "t.scale_from", {}),
        (
            [
                tag_spec("t", "holding/2", scale_from="sf", schedule=Schedule(5.0)),
                tag_spec("sf", "holding/0", "int16"),
            ],
            "t.scale_from",
            {},
        ),
    ],
)
def test_tags_that_cannot_be_read_together_are_a_fault(specs, field, options):
    device = device_of(specs, **options)
    assert [fault.path for fault in SPEC.check(channel_of(device))] == [f"devices.dev.tags.{field}"]


def test_forbidden_ranges_count_from_where_their_own_level_does():
    channel = ChannelSettings(url="tcp://h", forbidden=("holding/40-49",))
    device = DeviceSettings(address_base=1, forbidden=("holding/100",))
    assert limits_of(channel, device).forbidden == (Range(Table.HOLDING, 40, 49), Range(Table.HOLDING, 99, 99))
