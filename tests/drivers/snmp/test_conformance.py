"""The driver keeps the contract; where it takes long, tests/e2e/long does the rest."""

from __future__ import annotations

from pathlib import Path

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
    folder = Path(drivers.snmp.__file__).parent
    for name in ("__init__", "settings", "check", "oid"):
        assert "pysnmp" not in (folder / f"{name}.py").read_text().replace('"pysnmp.', "")
