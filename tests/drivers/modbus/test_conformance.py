"""The Modbus driver passes the public conformance suite on a real socket."""

from __future__ import annotations

from drivers.modbus import SPEC
from gateway.testing import check_driver
from tests.drivers.modbus.kit import channel_of, device_of, tag_spec
from tests.support.ports import free_port


async def test_the_driver_keeps_the_contract(faulty):
    device = device_of(
        [tag_spec("x", "holding/5"), tag_spec("c", "coil/2", "bool"), tag_spec("f", "input/9", "float32")]
    )
    nowhere = channel_of(device, port=free_port())
    assert await check_driver(SPEC, channel_of(device, port=faulty.port), unreachable=nowhere) == []
