"""FL-65: Telegraf configurations: what each field becomes, and what is told at which line."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.importing.draft import Draft, Options
from gateway.importing.report import Report
from gateway.importing.takeover import take_over
from tests.support.lists import case

HEAD = '[[inputs.modbus]]\nname = "d"\ncontroller = "tcp://192.0.2.1:502"\n'


def taken(text: str, **options: Any) -> tuple[Draft, Report]:
    report = Report()
    return take_over({"telegraf.conf": text.encode()}, report, Options(**options)), report


def fields(*rows: str, order: str = "ABCD", table: str = "holding", **options: Any) -> tuple[dict[str, Any], Report]:
    text = HEAD + 'configuration_type = "request"\n[[inputs.modbus.request]]\nslave_id = 1\n'
    text += (
        f'byte_order = "{order}"\nregister = "{table}"\nfields = [\n'
        + "".join(f"  {{ {row} }},\n" for row in rows)
        + "]\n"
    )
    draft, report = taken(text, **options)
    devices = draft.channels["d"]["devices"]
    return (devices["d"]["tags"] if devices else {}), report


@pytest.mark.parametrize(
    ("row", "order", "wanted"),
    [
        ('type="INT16"', "ABCD", {"address": "holding/5", "type": "int16"}),
        ('type="UINT16"', "DCBA", {"address": "holding/5", "type": "uint16", "word_order": "BADC"}),
        ('type="INT32"', "CDAB", {"address": "holding/5", "type": "int32", "word_order": "CDAB"}),
        ('type="UINT64"', "CDAB", {"address": "holding/5", "type": "uint64", "word_order": "GHEFCDAB"}),
        ('type="FLOAT64"', "BADC", {"address": "holding/5", "type": "float64", "word_order": "BADCFEHG"}),
        ('type="FLOAT32", scale=0.1', "ABCD", {"address": "holding/5", "type": "float32", "scale": 0.1}),
        ('type="INT16", scale=1.0', "ABCD", {"address": "holding/5", "type": "int16"}),
        ('type="INT8L"', "ABCD", {"address": "holding/5.low", "type": "int8"}),
        ('type="UINT8H"', "ABCD", {"address": "holding/5.high", "type": "uint8"}),
        ('type="INT8L"', "DCBA", {"address": "holding/5.high", "type": "int8"}),
        ('type="UINT8H"', "BADC", {"address": "holding/5.low", "type": "uint8"}),
        ('type="BIT", bit=3', "ABCD", {"address": "holding/5.3", "type": "bool"}),
        (
            'type="STRING", length=4',
            "BADC",
            {"address": "holding/5", "type": "string", "length": 8, "word_order": "BADC"},
        ),
    ],
)
def test_a_field_becomes_a_tag(row, order, wanted):
    found, report = fields(f'address=5, name="x", {row}', order=order)
    assert not report.problems.sorted()
    assert found == {"x": wanted}


@pytest.mark.parametrize(("table", "address"), [("coil", "coil/5"), ("discrete", "discrete/5")])
def test_addresses_of_bits_are_bits(table, address):
    assert fields('address=5, name="x", output="BOOL"', table=table)[0] == {"x": {"address": address, "type": "bool"}}


def test_gaps_are_left_out_and_measurements_are_folders():
    found, _ = fields('address=0, type="INT16", omit=true', 'address=1, name="a", type="INT16", measurement="m"',
                      'address=2, name="b", type="INT16", measurement="modbus"')  # fmt: skip
    assert list(found) == ["m/a", "b"]


def test_an_output_that_cut_fractions_keeps_them_here_and_says_so():
    found, report = fields('address=0, name="x", type="INT16", scale=0.1, output="INT64"')
    assert found["x"]["scale"] == 0.1
    assert any("fraction is kept" in note.text for note in report.notes)


REGISTER = (
    HEAD
    + 'slave_id = 9\nholding_registers = [\n{ name="x", address=%s, byte_order="%s", data_type="%s", scale=0.5 }\n]\n'
)


@pytest.mark.parametrize(
    ("address", "order", "kind", "wanted"),
    [
        ("[3]", "AB", "FIXED", {"address": "holding/3", "type": "int16", "scale": 0.5}),
        ("[3]", "BA", "UFIXED", {"address": "holding/3", "type": "uint16", "word_order": "BADC", "scale": 0.5}),
        ("[3,4]", "ABCD", "FLOAT32", {"address": "holding/3", "type": "uint32", "scale": 0.5}),
        (
            "[3,4]",
            "CDAB",
            "FLOAT32-IEEE",
            {"address": "holding/3", "type": "float32", "word_order": "CDAB", "scale": 0.5},
        ),
        (
            "[3,4,5,6]",
            "GHEFCDAB",
            "FIXED",
            {"address": "holding/3", "type": "int64", "word_order": "GHEFCDAB", "scale": 0.5},
        ),
    ],
)
def test_the_register_style_takes_sizes_from_its_addresses(address, order, kind, wanted):
    draft, report = taken(REGISTER % (address, order, kind))
    assert not report.problems.sorted()
    device = draft.channels["d"]["devices"]["d"]
    assert device["unit_id"] == 9
    assert device["tags"] == {"x": wanted}
    assert any("old name of UFIXED" in note.text for note in report.notes) == (kind == "FLOAT32")


def test_intervals_come_from_the_input_the_agent_or_telegraf_itself():
    text = HEAD + 'slave_id = 1\ncoils = [{ name = "a", address = [0] }]\n'
    agent = '[agent]\ninterval = "1m30s"\n'
    assert taken(text)[0].channels["d"]["devices"]["d"]["interval"] == "10s"
    assert taken(agent + text)[0].channels["d"]["devices"]["d"]["interval"] == "90s"
    own = text.replace("slave_id", 'interval = "250ms"\nslave_id')
    assert taken(agent + own)[0].channels["d"]["devices"]["d"]["interval"] == "250ms"
    assert taken(own, interval="5s")[0].channels["d"]["devices"]["d"]["interval"] == "5s"


@pytest.mark.parametrize(
    ("controller", "more", "wanted"),
    [
        ("tcp://h:1502", "", {"url": "tcp://h:1502"}),
        ("tcp://[::1]:502", "", {"url": "tcp://[::1]:502"}),
        ("tcp://h:502", 'transmission_mode = "RTUoverTCP"\n', {"url": "rtu+tcp://h:502"}),
        (
            "file:///dev/ttyUSB0",
            'baud_rate = 19200\nparity = "E"\n',
            {"serial": {"port": "/dev/ttyUSB0", "line": "19200-8E1"}},
        ),
        (
            "file:///dev/ttyS1",
            'transmission_mode = "ASCII"\n',
            {"serial": {"port": "/dev/ttyS1", "line": "9600-8N1", "framing": "ascii"}},
        ),
    ],
)
def test_controllers_become_channels(controller, more, wanted):
    text = f'[[inputs.modbus]]\nname = "d"\ncontroller = "{controller}"\n{more}slave_id = 1\ncoils = [{{ name = "a", address = [0] }}]\n'
    draft, report = taken(text)
    assert not report.problems.sorted()
    channel = draft.channels["d"]
    assert {key: channel[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("row", "line", "column", "said"),
    [
        ('address=0, name="x", type="INT17"', 11, 31, "no type `INT17`"),
        ('address=0, name="x", type="FLOAT16"', 11, 31, "no type `FLOAT16`"),
        ('address=70000, name="x", type="INT16"', 11, 13, "not within 0 and 65535"),
        ('name="x", type="INT16"', 11, 3, "needs its `address`"),
        ('address=0, type="INT16"', 11, 3, "needs its `name`"),
        ('address="a", name="x", type="INT16"', 11, 13, "a number is wanted"),
        ('address=65535, name="x", type="INT32"', 11, 13, "behind the last register"),
        ('address=0, name="x", type="BIT", bit=16', 11, 42, "not within 0 and 15"),
        ('address=0, name="x", type="INT16", scale="wide"', 11, 46, "`wide` is no number"),
        ("address=[0], name='x', type='INT16'", 11, 13, "a number is wanted here, not a list"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(row, line, column, said):
    _, report = fields('address=9, name="good", type="INT16"', row)
    (problem,) = report.problems.sorted()
    assert (problem.line, problem.column) == (line, column)
    assert said in str(problem)


def test_keys_without_a_meaning_are_told_at_their_line():
    text = (
        HEAD
        + 'slave_id = 1\ncolour = "red"\ncoils = [\n  { name = "a", address = [0], size = 3 },\n]\n[inputs.modbus.workarounds]\n'
    )
    text += 'pause_after_connect = "1s"\n[[outputs.file]]\nfiles = []\n[inputs.cpu]\npercpu = true\n'
    _, report = taken(text)
    assert [str(note) for note in report.notes] == [
        "telegraf.conf:5:1: ignored: `inputs.modbus[0].colour` has no meaning here",
        "telegraf.conf:7:32: ignored: `inputs.modbus[0].coils[0].size` has no meaning here",
        "telegraf.conf:10:1: ignored: `inputs.modbus[0].workarounds.pause_after_connect` has no meaning here",
        "telegraf.conf:11:1: ignored: `outputs` has no meaning here",
        "telegraf.conf:13:1: ignored: `inputs.cpu` has no meaning here",
    ]


@pytest.mark.parametrize(
    "key", ['log_level = "debug"', 'name_override = "x"', 'optimization = "shrink"', "busy_retries = 3"]
)
def test_settings_of_telegraf_itself_are_told(key):
    _, report = taken(f'{HEAD}slave_id = 1\n{key}\ncoils = [{{ name = "a", address = [0] }}]\n')
    name = key.partition(" ")[0]
    assert [str(note) for note in report.notes] == [
        f"telegraf.conf:5:1: ignored: `inputs.modbus[0].{name}` has no meaning here"
    ]


def test_texts_with_one_character_a_register_are_refused_where_that_is_said():
    field = '{ name = "serial", data_type = "STRING", address = [0, 1] }'
    plain = '{ name = "n", data_type = "UINT16", address = [2] }'
    text = f"{HEAD}slave_id = 1\nholding_registers = [{field}, {plain}]\n"
    _, report = taken(text + '[inputs.modbus.workarounds]\nstring_register_location = "lower"\n')
    (problem,) = report.problems.sorted()
    assert problem.line == 7
    assert "one character for each register" in problem.message
    _, report = taken(text + '[inputs.modbus.workarounds]\nstring_register_location = "both"\n')
    assert not report.problems.sorted()


def test_fields_of_one_name_stay_two_tags():
    draft, report = taken(case("telegraf/telegraf.conf").decode().replace('name = "start"', 'name = "run"'))
    assert not report.problems.sorted()
    assert {"run", "run_discrete"} <= draft.channels["meter"]["devices"]["meter"]["tags"].keys()


def test_a_configuration_without_devices_says_so():
    _, report = taken('[agent]\ninterval = "1s"\n[[inputs.cpu]]\npercpu = true\n')
    assert "there is no [[inputs.modbus]]" in str(report.problems.sorted()[0])


def test_nodes_of_opc_ua_have_ids_in_any_of_their_forms():
    draft, report = taken(case("telegraf/opcua.conf").decode())
    assert not report.problems.sorted()
    channel = draft.channels["press"]
    assert {path: (each["address"], each["type"]) for path, each in channel["devices"]["press"]["tags"].items()} == {
        "product": ("ns=0;i=2262", "string"),
        "speed": ("ns=2;s=Motor.Speed", "float64"),
        "oven/heat": ("nsu=http://plant.example/oven;i=1007", "float64"),
    }
    assert channel["identity"] == {"user": "gw", "password": "${credential:press_password}"}
    assert "secret" not in str(draft.channels)


def test_places_are_found_in_every_way_to_write_toml():
    text = """# comment
[[inputs.modbus]] # [x]
name = '''
d'''
controller = "tcp://192.0.2.1:502" # "
"slave_id" = 1
tags . x = 'y'
coils = [ # {
  { name = "a]", address = [
     0 ], 'odd key' = 1 }, { name = 'b', address = [1] },
]
"""
    _, report = taken(text)
    assert [str(note) for note in report.notes] == [
        "telegraf.conf:9:3: changed: the tag `a]` is called `a_` here",
        "telegraf.conf:10:11: ignored: `inputs.modbus[0].coils[0].odd key` has no meaning here",
    ]
