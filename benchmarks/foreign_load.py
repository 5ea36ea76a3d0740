"""A profile of EdgeX with 20,000 resources, as many tags in the gateway's own words, and a profile in which every other
resource is wrong: CPU and peak RSS of `fieldpost check`, RSS of a gateway that runs them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.installed import installed
from benchmarks.report import Row, at_most, main
from tests.support.eventually import wait_until

TAGS = 20_000
_RESOURCE = """- name: Tag{n}
  description: "the value of tag {n}"
  attributes: {{primaryTable: HOLDING_REGISTERS, startingAddress: {at}, rawType: INT16}}
  properties:
    valueType: Float32
    readWrite: RW
    scale: "0.1"
    minimum: "0"
    maximum: "100"
    units: degC
"""
_DEVICE = """deviceList:
- {name: Plc, profileName: Big, protocols: {modbus-tcp: {Address: 127.0.0.1, Port: "9", UnitID: "1"}}}
"""
_TAG = """      tag{n}:
        {{address: "holding/0x{n:x}", type: int16, scale: 0.1, unit: degC, access: rw, write: {{min: 0, max: 100}}}}
"""
_CHANNEL = "driver: modbus\nurl: tcp://127.0.0.1:9\ninterval: 10s\ndevices:\n  plc:\n    unit_id: 1\n    tags:\n"


def _profile(*, wrong: bool) -> str:
    rows = (_RESOURCE.format(n=n, at=-5 if wrong and n % 2 else n) for n in range(TAGS))
    return "name: Big\ndeviceResources:\n" + "".join(rows)


def _tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in {"gateway.yaml": "gateway: {id: gw}\nstore: {path: state}\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _check(command: Path, folder: Path, code: int) -> tuple[float, float]:
    """CPU seconds, the start included, and peak RSS in MB of `fieldpost check`."""
    process = subprocess.Popen([command, "check", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == code, process.returncode
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def _run(command: Path, folder: Path) -> float:
    """Peak RSS in MB of a gateway that is up, its device dead."""
    process = subprocess.Popen([command, "run", "--config", folder], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (folder / "state" / "fieldpost.sock").exists(), 60)
        time.sleep(5)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def measure() -> list[Row]:
    command = installed()
    own = _CHANNEL + "".join(_TAG.format(n=n) for n in range(TAGS))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as made:
        at = Path(made)
        foreign = _tree(at / "foreign", {"profiles/big.yaml": _profile(wrong=False), "channels/plc.yaml": _DEVICE})
        native = _tree(at / "native", {"channels/plc.yaml": own})
        wrong = _tree(at / "wrong", {"profiles/big.yaml": _profile(wrong=True), "channels/plc.yaml": _DEVICE})
        rows = []
        for what, folder, code in (("EdgeX", foreign, 0), ("of its own", native, 0), ("half-right", wrong, 78)):
            cpu, peak = _check(command, folder, code)
            rows.append(Row(f"check of {TAGS} tags, {what}: CPU", f"{cpu:.3g} s", note="start included"))
            rows.append(at_most("  peak RSS", peak, 128, "MB"))
        rows += [
            at_most(f"a gateway with {TAGS} tags, EdgeX: peak RSS", _run(command, foreign), 128, "MB"),
            at_most("  of its own", _run(command, native), 128, "MB", "polled each 10 s"),
        ]
    return rows


if __name__ == "__main__":
    main(measure)
