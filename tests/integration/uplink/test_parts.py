"""Files in parts over a real broker: in order, whole, asked for again, and nothing that was not asked for."""

import asyncio
import contextlib
import os

import pytest

from gateway.mqttclient import mqtt
from gateway.mqttclient.connection import ConnectionLost, ConnectOptions, Outgoing
from gateway.uplink import parts
from gateway.uplink.parts import NO_FILE, PART_BYTES, PartLink, PartsUnavailable, parse_part
from tests.support.job_cloud import ROOT
from tests.support.part_server import PartServer

CONTENT = os.urandom(5 * PART_BYTES + 77)


class Device:
    """A connection, and a link whose parts it hands over as an uplink does."""

    def __init__(self, broker, job="j1"):
        self.broker = broker
        self.up = None
        self.link = PartLink(ROOT, job, lambda: self.up)

    async def __aenter__(self):
        self.up = await mqtt.connect(self.broker.url, ConnectOptions("gw"))
        self._task = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.up.close()

    async def _hear(self):
        with contextlib.suppress(ConnectionLost):
            while True:
                message = await self.up.receive()
                self.link.handle(message.topic.removeprefix(f"{ROOT}/"), message.payload)
                self.up.confirm(message)


@pytest.fixture
def server(broker, tmp_path):
    folder = tmp_path / "repo"
    (folder / "targets").mkdir(parents=True)
    (folder / "targets/a.whl").write_bytes(CONTENT)
    (folder / "targets/none.json").write_bytes(b"")
    made = PartServer(broker.port, folder)
    yield made
    made.close()


async def whole(link, name, start=0):
    content, total = b"", None
    while total is None or start + len(content) < total:
        found, total = await link.fetch(name, start + len(content), 4)
        content += b"".join(found)
    return content


async def test_a_file_comes_whole_from_any_offset(broker, server):
    async with Device(broker) as device:
        assert await whole(device.link, "targets/a.whl") == CONTENT
        assert [count for _, _, count in server.wanted] == [4, 4]
        assert await whole(device.link, "targets/a.whl", 70_001) == CONTENT[70_001:]
        assert await device.link.fetch("targets/a.whl", len(CONTENT), 4) == ([], len(CONTENT))
        assert await device.link.fetch("targets/none.json", 0, 4) == ([], 0)
        assert await device.link.fetch("targets/b.whl", 0, 4) == ([], -1)


async def test_what_is_lost_is_asked_for_again_and_only_that(broker, server, monkeypatch):
    monkeypatch.setattr(parts, "_ANSWER_S", 0.4)
    server.lose = {2, 5}
    async with Device(broker) as device:
        found, _ = await device.link.fetch("targets/a.whl", 0, 4)
        assert b"".join(found) == CONTENT[: 4 * PART_BYTES]
        offsets = [offset for _, offset, _ in server.wanted]
        assert offsets[0] == 0
        assert set(offsets[1:]) == {PART_BYTES}


async def test_nobody_who_answers_is_an_end_too(broker, monkeypatch):
    monkeypatch.setattr(parts, "_ANSWER_S", 0.2)
    async with Device(broker) as device:
        with pytest.raises(PartsUnavailable):
            await device.link.fetch("targets/a.whl", 0, 4)
        await device.up.close()
        with pytest.raises(PartsUnavailable):
            await device.link.fetch("targets/a.whl", 0, 4)
        device.up = None
        with pytest.raises(PartsUnavailable, match="not connected"):
            await device.link.fetch("targets/a.whl", 0, 4)
        device.up = await mqtt.connect(broker.url, ConnectOptions("gw2"))


async def test_after_its_end_nothing_is_heard(broker, server):
    async with Device(broker) as device:
        await device.link.fetch("targets/a.whl", 0, 1)
        await device.link.close()
        heard = len(device.link._came)
        topic = f"{ROOT}/job/j1/part/0"
        await device.up.publish(Outgoing(topic, b"x"))
        device.link.handle("job/j1/part/0", _part("targets/a.whl", 1, b"x"))
        assert len(device.link._came) == heard == 0


async def test_a_broker_that_does_not_allow_it_is_told(make_broker):
    acl = f"topic read {ROOT}/#\n"
    async with Device(make_broker(acl=acl)) as device:
        with pytest.raises(PartsUnavailable, match="refuses"):
            await asyncio.wait_for(device.link.fetch("targets/a.whl", 0, 1), 120)


def _part(name, total, content):
    return len(name.encode()).to_bytes(2, "big") + name.encode() + total.to_bytes(8, "big") + content


def test_what_is_no_part_is_none():
    good = _part("a", 3, b"abc")
    assert parse_part(good) == parts.Part("a", 3, b"abc")
    assert parse_part(_part("a", NO_FILE, b"")).total == -1
    for length in range(11):
        assert parse_part(good[:length]) is None
    assert parse_part(_part("", 3, b"abc")) is None
    assert parse_part(b"\x00\x02\xff\xfe" + bytes(8)) is None
    assert parse_part(_part("a", 1 << 20, bytes(PART_BYTES + 1))) is None


async def test_parts_of_other_files_jobs_and_places_change_nothing(broker, server):
    async with Device(broker) as device:
        link = device.link
        task = asyncio.create_task(link.fetch("targets/a.whl", 0, 1))
        await asyncio.sleep(0)
        wrong = _part("targets/a.whl", 3, b"bad")
        link.handle("job/j2/part/0", wrong)
        link.handle("job/j1/status", wrong)
        link.handle("job/j1/part/-1", wrong)
        link.handle("job/j1/part/" + "9" * 40, wrong)
        link.handle("job/j1/part/0", _part("targets/b.whl", 3, b"bad"))
        found, total = await asyncio.wait_for(task, 20)
        assert (found, total) == ([CONTENT[:PART_BYTES]], len(CONTENT))
