"""The Modbus driver passes the public conformance suite on a real socket."""

from __future__ import annotations

from drivers.modbus import SPEC
from gateway.testing import examine
from tests.drivers.modbus.kit import channel_of, device_of, tag_spec


async def test_the_driver_keeps_the_contract_with_a_good_and_with_a_faulty_peer(faulty):
    device = device_of(
        [
            tag_spec("x", "holding/5"),
            tag_spec("y", "holding/900"),
            tag_spec("c", "coil/2", "bool"),
            tag_spec("f", "input/9", "float32"),
            tag_spec("w", "holding/20", access="rw"),
        ]
    )
    report = await examine(SPEC, channel_of(device, port=faulty.port), writes={"dev.w": 7})
    assert report.findings == []
    assert report.skipped == ["methods"]
