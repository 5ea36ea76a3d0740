"""FL-65: Tag lists of other gateways, imported by the command, read by the running gateway from devices that hold known bytes.

The registers are written here as the tools' own documents say the bytes lie; what must be shown is computed by hand.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.support.eventually import wait_until
from tests.support.field_device import FieldDevice
from tests.support.lists import case, cells_of, xlsx

# unit -> first address -> words; bits: unit -> coils or discrete inputs that are on
KEPWARE = {1: {0: [215], 1: [0x0000, 0x3FC0], 4: [2047], 9: [0xE240, 0x0001], 19: [6550], 29: [0x0010],
               39: [0x4142, 0x3132, 0x4344, 0], 49: [1, 0xFFFE, 3], 60: [0x1234]}}  # fmt: skip
NEURON = {1: {0: [1500], 1: [0x0000, 0x4144], 3: [0x0403, 0x0201], 6: [0x1E00], 10: [0x0008],
              19: [0x5052, 0x4553, 0x5331]}, 2: {0: [1805], 1: [0x0201, 0x0403, 0x0605, 0x0807]}}  # fmt: skip
THINGSBOARD = {3: {0: [0xFFC9], 2: [80], 4: [0x2000, 0x447A], 10: [2, 0, 1, 0], 20: [0x0200], 21: [0xC803],
                   22: [0x434F, 0x4C44, 0x3031], 30: [1, 2, 3]}}  # fmt: skip
TELEGRAF = {1: {0: [0x2C01], 5: [0x2345, 0x0001], 8: [0xFFA1], 10: [0x4366, 0x4000], 12: [5]},
            2: {0: [0x24FA, 0xFFFF], 4: [0, 0, 0, 0x0440], 9: [0xF37B]},
            3: {0: [0xFFF9], 1: [0x1000], 2: [0x4657, 0x312E, 0x3032]}}  # fmt: skip
SUNSPEC = {1: {40070: [103, 50, 123, 0xFFFF, 0xFFFF, 0x8000, 0x0001, 0x86A0, 1, 5001, 4, 0, 8, 5000,
                       0x534E, 0x3030, 0x3432, 0, 2, 45, 0xFFFD, 55, 0x8000]}}  # fmt: skip
BITS = {
    "kepware": {1: [1, 2]},
    "neuron": {1: [3]},
    "thingsboard": {3: [1]},
    "telegraf": {1: [0, 1], 2: [3], 3: [0]},
    "sunspec": {},
}
WANTED: dict[str, dict[str, Any]] = {
    "boiler": {
        "Supply/Temperature": 21.5, "Supply/Pressure": 1.5, "Return_Temp": pytest.approx(-50 + 2047 * 200 / 4095),
        "Energy": 123456, "Setpoint": 65.5, "Burner/Run": True, "Burner/Fault": True, "Door": True, "Serial": "AB12CD",
        "Zones/0": 1, "Zones/1": -2, "Zones/2": 3, "Hours": 1234,
    },
    "line_1": {
        "press/speed": 150.0, "press/force": 12.25, "press/count": 0x01020304, "press/offset": 5.0, "press/run": True,
        "press/alarm": True, "press/name": "PRESS1",
    },
    "line_2": {"oven/heat": 180.5, "oven/total": 0x0102030405060708},
    "Cold_Store": {
        "temperature": -5.5, "limit": 8.0, "power": 1000.5, "energy": 2 * (2**32 + 2), "relay": True, "door": True,
        "half": 200, "name": "COLD01", "probe_30": 1, "probe_31": 2, "probe_32": 3,
    },
    "meter": {
        "start": True, "run": True, "power_factor": -0.95, "energy": 74.565, "voltage": 230.25, "old": 2.5, "level": 300,
    },
    "line": {"current": -1.5, "totals/energy": 2.5, "low": -13, "high": 123, "motor": True},
    "pump": {"pump/door": True, "pump/speed": -7, "pump/alarm": True, "pump/firmware": "FW1.02"},
    "inverter": {
        "ID": 103, "L": 50, "A": 12.3, "AphA": None, "A_SF": -1, "WH": 1_000_000.0, "WH_SF": 1, "Hz": 50.01, "St": 4,
        "Evt1": 8, "WMax": 5000, "SN": "SN0042", "N": 2, "module/1/DCA": 4.5, "module/1/Tmp": -3, "module/2/DCA": 5.5,
        "module/2/Tmp": None,
    },
}  # fmt: skip


def device(kind: str, memory: dict[int, dict[int, list[int]]]) -> FieldDevice:
    made = FieldDevice()
    for unit, blocks in memory.items():
        for first, words in blocks.items():
            made.server.registers |= {(unit, first + i): word for i, word in enumerate(words)}
    made.server.coils = {(unit, coil): True for unit, coils in BITS[kind].items() for coil in coils}
    return made


def test_lists_of_five_tools_give_the_readings_that_their_devices_hold(make_gateway, tmp_path):
    gateway = make_gateway()
    gateway.write_main(uplinks={})
    with ExitStack() as stack:
        ports = {}
        for kind, memory in (("kepware", KEPWARE), ("neuron", NEURON), ("thingsboard", THINGSBOARD),
                             ("telegraf", TELEGRAF), ("sunspec", SUNSPEC)):  # fmt: skip
            ports[kind] = stack.enter_context(closing(device(kind, memory))).port
        lists = {
            "boiler.csv": (case("kepware/boiler.csv"), ports["kepware"]),
            "line.xlsx": (xlsx(cells_of(case("neuron/line.csv"))), ports["neuron"]),
            "modbus.json": (case("thingsboard/modbus.json").replace(b"5021", b"%d" % ports["thingsboard"]), 0),
            "telegraf.conf": (case("telegraf/telegraf.conf").replace(b"5022", b"%d" % ports["telegraf"]), 0),
            "model_103.json": (case("sunspec/model_103.json"), ports["sunspec"]),
        }
        for name, (raw, port) in lists.items():
            (tmp_path / name).write_bytes(raw)
            where = ["--url", f"tcp://127.0.0.1:{port}"] if port else []
            repeat = ["--repeat", "2"] if name == "model_103.json" else []
            answer = gateway.cli("import", str(tmp_path / name), "--write", *where, *repeat)
            assert answer.code == 0, answer
        gateway.start()

        def shown() -> dict[str, dict[str, Any]]:
            found: dict[str, dict[str, Any]] = {}
            for row in gateway.ask("tags", "--hidden")["tags"]:
                found.setdefault(row["device"], {})[row["tag"]] = row["value"]
            return found

        wait_until(lambda: shown() == WANTED, 30, every=0.3, why=lambda: f"the readings: {shown()}")
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log()
