"""The driver keeps the contract, with a good and with a faulty server."""

from __future__ import annotations

from drivers.http import SPEC
from drivers.http.peer import serve
from gateway.testing import Bench, examine
from tests.drivers.http.kit import channel_of, tag_spec

TAGS = (
    tag_spec("power", json="meters[0].power"),
    tag_spec("plain", at="/plain", time=""),
    tag_spec("page", at="/page", regex="Power: ([0-9.]+) W", time=""),
    tag_spec("setpoint", json="setpoint", access="rw", set={"path": "/set", "body": {"setpoint": "$value"}}),
)


async def test_the_driver_keeps_the_contract_with_a_good_and_with_a_faulty_server() -> None:
    async with Bench() as bench:
        channel = channel_of(await bench.peer(serve), *TAGS, timeout_s=0.3, device={"time": "unixtime"})
        report = await examine(SPEC, channel, writes={"plug.setpoint": 7.5})
    assert report.findings == []
    assert report.skipped == ["methods"]
