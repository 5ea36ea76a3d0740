"""What a Bluetooth channel may say, and what is said about the rest, with its place."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.errors import ConfigError
from tests.drivers.ble.kit import channel_of

DEVICE = "  d: {address: 'AA:BB:CC:00:00:01', %s}\n"


def problems(text: str) -> list[str]:
    try:
        channel_of(text)
    except ConfigError as error:
        return [f"{problem.path}: {problem.message} {problem.hint}".strip() for problem in error.problems]
    return []


def device(keys: str, tag: str = "x: {address: rssi, type: int16}") -> str:
    return "driver: ble\ndevices:\n" + DEVICE % f"{keys}{', ' if keys else ''}tags: {{{tag}}}"


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("driver: ble\nadapter: usb0\ndevices: {}\n", "adapter", "no adapter"),
        ("driver: ble\nconnections: 0\ndevices: {}\n", "connections", "outside"),
        ("driver: ble\naway_after: 5\ndevices: {}\n", "away_after", "5s"),
        ("driver: ble\ndevices: {d: {kind: bthome, tags: {}}}\n", "devices.d", "no address"),
        ("driver: ble\ndevices: {d: {address: hall, tags: {}}}\n", "devices.d.address", "no device address"),
        (
            "driver: ble\ndevices:\n" + DEVICE % "tags: {}" + (DEVICE % "tags: {}").replace("d:", "e:"),
            "devices.e.address",
            "`d` already",
        ),
        (device("key: abc, kind: bthome"), "devices.d.key", "32 hex digits"),
        (device("key: 231d39c1d7cc1ab1aee224cd096db932"), "devices.d.key", "BTHome"),
        (device("match: {name: x}"), "devices.d.match", "or a match"),
        ("driver: ble\ndevices: {d: {match: {data: '0215'}, tags: {}}}\n", "devices.d.match", "needs company"),
        ("driver: ble\ndevices: {d: {match: {company: 70000}, tags: {}}}\n", "devices.d.match", "company identifier"),
        (device("frames: {a: {source: nowhere}}"), "devices.d.frames.a", "no place"),
        (device("", "x: {address: bthome/temperature, type: float64}"), "devices.d.tags.x.address", "no bthome"),
        (device("", "x: {address: gatt/2a6e, type: int16}"), "devices.d.tags.x.address", "over a connection"),
        (device("kind: gatt", "x: {address: gatt/2a6, type: int16}"), "devices.d.tags.x.address", "no UUID"),
        (device("", "x: {address: level, type: int16}"), "devices.d.tags.x.address", "no address of this driver"),
        (device("", "x: {address: battery, type: int16}"), "devices.d.tags.x.address", "battery"),
        (
            device("", "x: {address: 'manufacturer/0x0499+1:int17', type: int16}"),
            "devices.d.tags.x.address",
            "no field type",
        ),
        (
            device("", "x: {address: manufacturer/0x0499+1, type: int16, access: rw}"),
            "devices.d.tags.x.access",
            "written",
        ),
        (device("", "x: {address: 'manufacturer/1+1:int16', type: uint16}"), "devices.d.tags.x.type", "does not fit"),
        (device("", "x: {address: 'manufacturer/1+1:float32', type: int32}"), "devices.d.tags.x.type", "does not fit"),
        (device("", "x: {address: manufacturer/1+1.9, type: bool}"), "devices.d.tags.x.address", "no bit 9"),
        (device("", "x: {address: name, type: int16}"), "devices.d.tags.x.type", "name"),
        (device("", "x: {address: rssi, type: int16, notify: true}"), "devices.d.tags.x.notify", "by themselves"),
        (device("wrong: 1"), "devices.d.wrong", "unknown key"),
    ],
)
def test_what_cannot_work_is_found_at_its_place(text, path, words):
    found = problems(text)
    assert [row for row in found if row.startswith(f"{path}: ") and words in row], found


def test_more_kept_connections_than_there_are_is_refused():
    tag = "tags: {t: {address: gatt/2a6e, type: int16, notify: true}}"
    devices = "".join(f"  d{i}: {{address: 'AA:BB:CC:00:00:0{i}', kind: gatt, {tag}}}\n" for i in range(4))
    (found,) = problems("driver: ble\ndevices:\n" + devices)
    assert "4 devices keep a connection; the adapter has 3 connections" in found
    assert problems("driver: ble\nconnections: 4\ndevices:\n" + devices) == []
    polled = "  e: {address: 'AA:BB:CC:00:00:09', kind: gatt, tags: {t: {address: gatt/2a6e, type: int16}}}\n"
    (found,) = problems("driver: ble\nconnections: 4\ndevices:\n" + devices + polled)
    assert "and others are polled" in found


def test_an_adapter_has_one_channel_and_keys_stay_out_of_texts():
    spec = channel_of(device("kind: bthome, key: 231d39c1d7cc1ab1aee224cd096db932"))
    assert "231d39" not in repr(spec)


def test_nothing_is_imported_before_a_channel_starts():
    code = "import drivers.ble, sys; assert not {'bleak', 'bthome_ble', 'dbus_fast'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_missing_library_names_the_extra():
    code = (
        "import sys, asyncio\nsys.modules['bleak'] = None\nsys.modules['bthome_ble'] = None\n"
        "from drivers.ble import SPEC\nfrom drivers.ble.parsers import parser_of\n"
        "for call in (lambda: parser_of('bthome'), lambda: asyncio.run(SPEC.create().run(None))):\n"
        "    try: call()\n    except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert "PermanentError the library for bthome devices is not installed" in done.stdout
    assert "fieldpost[ble-parsers]" in done.stdout and "pip install 'fieldpost[ble]'" in done.stdout
