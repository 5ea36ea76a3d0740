"""Frames as a trace shows them, turned into what a case gives: played again, the values are those of the device."""

from __future__ import annotations

import pytest

from gateway.cli.profiletests.loading import channel_of, driver_of, rehearsal_of
from gateway.cli.profiletests.sources import library
from gateway.driver import Frame

SOURCES = {source.name: source for driver in ("modbus", "mqtt", "ble") for source in library([driver])}


def recalled(profile: str, frames: list[Frame], device: str = "meter"):
    source = SOURCES[profile]
    spec = driver_of(source)
    rehearsal = rehearsal_of(spec)
    assert rehearsal is not None
    assert rehearsal.recall is not None
    channel = channel_of(source, spec, {})
    given = dict(rehearsal.recall(channel, device, frames))
    return given, {path: value for path, (value, code) in rehearsal.play(channel, given).values.items() if not code}


def frame(sending: bool, data: str, text: str = "", unit: int = 1) -> Frame:
    return Frame(0, sending, bytes.fromhex(data), text, unit)


TCP = [frame(True, "000100000006 01 04 0001 0002"), frame(False, "000100000007 01 04 04 0131 0222")]
RTU = [frame(True, "01 04 0001 0002 200b"), frame(False, "01 04 04 0131 0222 caa5")]
ASCII = [
    frame(True, b":010400010002F8\r\n".hex()),
    frame(False, b":01040401310222A1\r\n".hex()),
]


@pytest.mark.parametrize("frames", [TCP, RTU, ASCII], ids=["tcp", "rtu", "ascii"])
def test_answers_of_a_modbus_device_are_recalled_in_every_framing(frames):
    given, values = recalled("xy_md02", frames)
    assert given == {"input": {"1": "0131 0222"}}
    assert values == {"temperature": 30.5, "humidity": 54.6}


def test_refusals_strange_answers_and_registers_of_nobody_are_left_out_and_the_latest_answer_counts():
    frames = [
        *TCP,
        frame(True, "000200000006 01 04 0001 0002"),
        frame(False, "000200000003 01 84 02"),
        frame(True, "000300000006 01 04 0190 0001"),
        frame(False, "000300000005 01 04 02 ffff"),
        frame(False, "000400000007 01 04 04 0000 0000"),
        frame(True, "000500000006 01 04 0001 0002"),
        frame(False, "000500000007 01 04 04 ff33 0222"),
        frame(True, "000600000006 01 06 0001 0002"),
        frame(False, "00"),
        frame(False, "", "no whole frame", -1),
    ]
    given, values = recalled("xy_md02", frames)
    assert given == {"input": {"1": "ff33 0222"}}
    assert values["temperature"] == -20.5


def test_coils_are_recalled_as_bits():
    frames = [frame(True, "000100000006 01 01 0000 0008"), frame(False, "000100000004 01 01 01 81")]
    given, values = recalled("waveshare_relay8", frames)
    assert given == {"coil": {"0": [1, 0, 0, 0, 0, 0, 0, 1]}}
    assert (values["relay/r1"], values["relay/r2"], values["relay/r8"]) == (True, False, True)


def test_messages_are_recalled_without_the_name_of_the_device():
    def message(topic: str, payload: str) -> Frame:
        return Frame(0, False, payload.encode(), f"{topic} (qos 1) {payload}")

    frames = [
        message("shelly-1/status/switch:0", '{"output":false}'),
        message("shelly-1/status/switch:0", '{"output":true,"apower":8.9}'),
        message("shelly-1/status/sys", '{"mac":"AABBCC"}'),
        Frame(0, True, b"on", "shelly-1/command/switch:0 (qos 1) on"),
    ]
    given, values = recalled("shelly_plug", frames, "shelly-1")
    assert given == {"messages": [{"topic": "~/status/switch:0", "json": {"output": True, "apower": 8.9}}]}
    assert values == {"on": True, "power": 8.9}
    given, values = recalled("shelly_gen1_plug", [message("shellies/x/relay/0", "on")], "x")
    assert given == {"messages": [{"topic": "~/relay/0", "text": "on"}]}
    assert values == {"on": True}


def test_adverts_are_recalled_once_each_and_characteristics_by_their_name():
    data = "12161a180100c138a4c1660939150b0c572a01"
    heard = [frame(False, data, f"A4:C1:38:C1:00:01 {rssi} dBm temperature 24.06", -1) for rssi in (-60, -71)]
    given, values = recalled("xiaomi_lywsd03mmc_pvvx", [*heard, frame(False, "00", "nonsense", -1)])
    assert given == {"adverts": [{"data": data, "rssi": -71}]}
    assert (values["temperature"], values["rssi"]) == (24.06, -71)
    read = [frame(False, "6609", "C0:00:00:00:00:01 read gatt/181a/2a6e", -1)]
    given, values = recalled("environmental_sensing", read)
    assert given == {"gatt": {"181a/2a6e": "6609"}}
    assert values == {"temperature": 24.06}
