"""The driver and an agent that is good, or as agents in the field are."""

from __future__ import annotations

import asyncio

import pytest

from drivers.snmp.driver import SnmpDriver
from drivers.snmp.peer import OWN as OWN_OID
from drivers.snmp.peer import Agent, serve
from gateway.errors import BadFrame, DeviceUnavailable, LinkLost, RequestRefused, WriteRejected
from gateway.model import Quality
from gateway.testing import FakeContext
from tests.drivers.snmp.kit import OWN, at_work, channel, read, tag
from tests.support.ports import free_port

GOOD, BAD = int(Quality.GOOD), int(Quality.BAD_CONFIG)
MANY = [tag(f"t{number}", f"{OWN}.1.0") for number in range(20)]


async def test_many_oids_come_in_one_request_and_a_missing_one_is_bad_alone():
    agent = Agent()
    tags = [
        tag("t", f"{OWN}.1.0"),
        tag("missing", f"{OWN}.99.0"),
        tag("text", f"{OWN}.5.0", "float64"),
        tag("ip", f"{OWN}.6.0", "string"),
        tag("on", f"{OWN}.7.0", "bool", "truth"),
        tag("float", f"{OWN}.9.0", "float32"),
        tag("wide", f"{OWN}.3.0", "uint16"),
    ]
    async with serve(lambda: agent) as port, at_work(channel(port, *tags)) as (driver, context):
        found = await read(driver, context)
        assert context.remarks
    assert agent.asked == [1, 7]
    assert found == {
        "t": (-215, GOOD),
        "missing": (None, BAD),
        "text": (21.5, GOOD),
        "ip": ("192.0.2.7", GOOD),
        "on": (True, GOOD),
        "float": (12.5, GOOD),
        "wide": (None, BAD),
    }


async def test_what_is_too_big_is_split_and_learned():
    agent = Agent(most=6)
    async with serve(lambda: agent) as port, at_work(channel(port, *MANY)) as (driver, context):
        device = context.devices[0]
        (request,) = driver.plan(device, device.tags)
        with pytest.raises(RequestRefused) as refused:
            await driver.read(request)
        parts = driver.split(request, refused.value)
        assert [len(part.block.tags) for part in parts] == [10, 10]
        with pytest.raises(RequestRefused):
            await driver.read(parts[0])
        assert len(driver.plan(device, device.tags)) == 4
        assert len(await read(driver, context)) == 20
        assert context.memory.get("max_oids") == 5
        assert driver.split(driver.plan(device, device.tags[:1])[0], refused.value) == []


async def test_an_agent_that_refuses_all_for_one_oid_is_asked_without_it():
    agent = Agent(broken=frozenset({(*OWN_OID, 2, 0)}))
    tags = [tag("a", f"{OWN}.1.0"), tag("bad", f"{OWN}.2.0", "uint32"), tag("b", f"{OWN}.4.0", "uint32")]
    async with serve(lambda: agent) as port, at_work(channel(port, *tags)) as (driver, context):
        (request,) = driver.plan(context.devices[0], context.devices[0].tags)
        with pytest.raises(RequestRefused, match="genErr") as refused:
            await driver.read(request)
        good, bad = driver.split(request, refused.value)
        assert [found.path for found in bad.block.tags] == ["bad"]
        assert (await driver.read(good)).values == [-215, 12]


async def test_a_value_is_written_and_what_the_agent_refuses_is_told():
    tags = [tag("set", f"{OWN}.4.0", "uint32", access="rw"), tag("none", f"{OWN}.77.0", "int32", access="rw")]
    async with serve() as port, at_work(channel(port, *tags)) as (driver, context):
        device = context.devices[0]
        await driver.write(device, device.tags[0], 42)
        assert (await read(driver, context))["set"] == (42, GOOD)
        with pytest.raises(RequestRefused, match="notWritable"):
            await driver.write(device, device.tags[1], 1)
        with pytest.raises(WriteRejected):
            await driver.write(device, device.tags[0], -1)


async def test_a_lost_answer_is_asked_for_again_but_a_write_is_sent_once():
    class Forgetful(Agent):
        heard = 0

        def datagram_received(self, data, addr):
            self.heard += 1
            if self.heard != 2:
                super().datagram_received(data, addr)

    agent = Forgetful()
    tags = [tag("set", f"{OWN}.4.0", "uint32", access="rw")]
    async with serve(lambda: agent) as port, at_work(channel(port, *tags, timeout_s=2.0)) as (driver, context):
        assert (await read(driver, context))["set"] == (12, GOOD)
        assert driver.counters()["sent_again"] == 1
        agent.heard = 1
        with pytest.raises(DeviceUnavailable):
            await driver.write(context.devices[0], context.devices[0].tags[0], 5)
        assert agent.heard == 2


async def test_an_answer_with_other_oids_is_no_answer():
    class Swapping(Agent):
        def _fill(self, pdu, answer):
            super()._fill(pdu, answer)
            if len(answer[3]) > 1:
                binds = [answer[3][1].clone(cloneValueFlag=True), answer[3][0].clone(cloneValueFlag=True)]
                answer[3][0], answer[3][1] = binds

    tags = [tag("a", f"{OWN}.1.0"), tag("b", f"{OWN}.4.0", "uint32")]
    async with serve(Swapping) as port, at_work(channel(port, *tags)) as (driver, context):
        with pytest.raises(BadFrame):
            await read(driver, context)


async def test_nobody_there_and_a_community_that_is_not_known_are_lost_links():
    async with serve() as port:
        for spec, why in (
            (channel(free_port(), MANY[0]), "refused"),
            (channel(port, MANY[0], community="wrong", timeout_s=0.4), "community"),
        ):
            driver = SnmpDriver()
            async with FakeContext(spec) as context:
                with pytest.raises(LinkLost, match=why):
                    await driver.connect(context)
                await driver.close()


async def test_a_walk_gives_what_can_be_added_as_tags_and_ends_where_oids_do_not_grow():
    async with serve() as port, at_work(channel(port, MANY[0])) as (driver, _):
        found = [item async for item in driver.browse({"at": "1.3.6.1.2.1"})]
        assert [(item["name"], item["kind"], item["value"]) for item in found] == [
            ("sysDescr", "OctetString", "bench supply"),
            ("sysUpTime", "TimeTicks", 4711),
        ]
        assert found[1]["keys"] == {"oid": "1.3.6.1.2.1.1.3.0", "type": "uint32"}
        assert len([item async for item in driver.browse({"at": "1.3.6.1.4.1.32473.1"})]) == 9
        assert len([item async for item in driver.browse({"at": "1.3.6.1", "filter": "sys*"})]) == 2
        with pytest.raises(ValueError, match="unknown option"):
            await anext(driver.browse({"color": "red"}))

    class Circling(Agent):
        def _fill(self, pdu, answer):
            self.values = {(*OWN_OID, 5, 0): self.values[(*OWN_OID, 5, 0)]}
            super()._fill(pdu, answer)

        def datagram_received(self, data, addr):
            super().datagram_received(data.replace(b"\x01\x09\x00", b"\x01\x01\x00"), addr)

    async with serve(Circling) as port, at_work(channel(port, MANY[0])) as (driver, _):
        async with asyncio.timeout(5):
            assert len([item async for item in driver.browse({"at": OWN})]) == 1


async def test_frames_are_told_and_never_the_community():
    frames = []
    async with serve() as port, at_work(channel(port, MANY[0], resend=0)) as (driver, context):
        driver.trace(frames.append)
        await read(driver, context)
        driver.trace(None)
        await read(driver, context)
        assert driver.owns_frame(context.devices[0], frames[0])
    sent, answered = frames
    assert (sent.sending, answered.sending) == (True, False)
    assert sent.text.startswith("GetRequest ")
    assert answered.text.endswith(f"{OWN}.1.0 = -215")
    assert "public" not in sent.text
