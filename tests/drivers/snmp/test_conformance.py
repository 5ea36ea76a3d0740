"""The driver keeps the contract; where it takes long, tests/e2e/long does the rest."""

from __future__ import annotations

import subprocess
import sys

import drivers.snmp
from drivers.snmp.peer import bench
from gateway.testing import Bench, examine
from tests.drivers.snmp.kit import OWN, channel, tag


async def test_the_driver_keeps_the_contract_with_a_good_and_with_a_faulty_agent():
    tags = [tag("t", f"{OWN}.1.0"), tag("set", f"{OWN}.4.0", "uint32", access="rw")]
    async with Bench() as peers:
        spec = channel(await peers.peer(bench), *tags, timeout_s=1.0)
        only = ["spec", "settings", "close", "read", "write", "write-refused", "looks", "requests"]
        report = await examine(drivers.snmp.SPEC, spec, writes={"bench.set": 7}, udp=True, only=only)
    assert report.findings == []


def test_no_protocol_library_is_loaded_for_a_look_at_settings():
    look = "import sys, drivers.snmp, drivers.snmp.settings, drivers.snmp.check, drivers.snmp.oid; print('pysnmp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
