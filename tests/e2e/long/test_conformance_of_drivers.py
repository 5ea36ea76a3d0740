"""All conformance checks of the drivers whose peers make them take a while."""

from __future__ import annotations

import asyncio

import drivers.mqtt
import drivers.opcua
import drivers.snmp
from drivers.snmp.peer import bench
from gateway.testing import Bench, examine
from tests.drivers.mqtt.kit import channel_of as mqtt_channel
from tests.drivers.opcua.conftest import plant
from tests.drivers.opcua.kit import channel_of as opcua_channel
from tests.drivers.opcua.kit import tag_spec
from tests.drivers.snmp.kit import OWN
from tests.drivers.snmp.kit import channel as snmp_channel
from tests.drivers.snmp.kit import tag as snmp_tag
from tests.support.mqtt_device import MqttDevice

__all__ = ["plant"]


async def test_opc_ua_keeps_the_contract_with_a_good_and_with_a_faulty_server(plant):
    tags = [tag_spec("Speed"), tag_spec("Count", kind="int32")]
    report = await examine(drivers.opcua.SPEC, opcua_channel(plant.url, tags))
    if any(finding.startswith("loop:") for finding in report.findings):
        # a busy machine may hold the loop up once; a driver that does so does it each time
        report = await examine(drivers.opcua.SPEC, opcua_channel(plant.url, tags))
    assert report.findings == []


async def test_mqtt_keeps_the_contract_with_a_good_and_with_a_faulty_broker(broker):
    tags = {"v": {"type": "int32", "path": "$.v"}}
    channel = mqtt_channel({"devices": {"d": {"topic": "t", "retained": "good", "tags": tags}}}, url=broker.url)
    device = MqttDevice(broker.port)
    over = asyncio.Event()

    async def send():
        while not over.is_set():
            await asyncio.to_thread(device.publish, "t", {"v": 1}, retain=True)
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(send())
    report = await examine(drivers.mqtt.SPEC, channel)
    over.set()
    await sending
    device.close()
    assert report.findings == []


async def test_snmp_keeps_the_contract_with_a_good_and_with_a_faulty_agent():
    tags = [snmp_tag("t", f"{OWN}.1.0"), snmp_tag("set", f"{OWN}.4.0", "uint32", access="rw")]
    async with Bench() as peers:
        spec = snmp_channel(await peers.peer(bench), *tags)
        report = await examine(drivers.snmp.SPEC, spec, writes={"bench.set": 7}, udp=True)
    assert report.findings == []
