"""A scan and a trace at a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from gateway.errors import RequestRefused
from tests.drivers.mqtt.rig import running
from tests.support.eventually import eventually


async def test_a_scan_shows_topics_samples_and_tags(broker, sender):
    await asyncio.to_thread(sender.publish, "a/kept", {"temp": 21.5, "ts": 5, "m": {"on": True}}, retain=True)
    async with running({}, broker.url) as rig:
        found: list[Any] = []

        async def scan() -> None:
            async for item in rig.driver.scan({"for": "1500ms", "most": 3}):
                found.append(item)

        task = asyncio.create_task(scan())
        await eventually(lambda: any("topic" in item for item in found), 10)
        for number in range(5):
            await asyncio.to_thread(sender.publish, f"b/{number}", b"\x93\x01\x02\x03" if number else "12.5")
        await task
        topics = {item["topic"]: item for item in found if "topic" in item}
        assert set(topics) == {"a/kept", "b/0", "b/1"}
        assert topics["a/kept"]["tags"] == {
            "temp": {"path": "$.temp", "type": "float64"},
            "m_on": {"path": "$.m.on", "type": "bool"},
        }
        assert topics["a/kept"]["time"] == "$.ts"
        assert topics["a/kept"]["retained"]
        assert topics["b/0"]["tags"] == {"value": {"format": "plain", "type": "float64"}}
        assert topics["b/1"]["format"] == "msgpack"
        assert "3 messages" in found[-1]["text"]
        for wrong in ({"x": 1}, {"topics": "a/#/b"}, {"for": "0"}, {"most": 0}):
            with pytest.raises(ValueError, match=r".+"):
                async for _ in rig.driver.scan(wrong):
                    pass


async def test_a_trace_shows_messages_of_a_device(broker, sender):
    tags = {"v": {"type": "float64", "access": "rw", "command": {"topic": "set/t"}}}
    async with running({"devices": {"d": {"topic": "t/+", "tags": tags}}}, broker.url) as rig:
        frames: list[Any] = []
        rig.driver.trace(frames.append)
        await asyncio.to_thread(sender.publish, "t/1", {"v": 1})
        await eventually(lambda: frames, 10)
        with contextlib.suppress(RequestRefused):
            await rig.driver.write(rig.device(), rig.device().tag("v"), 2.0)
        assert [frame.text for frame in frames] == ['t/1 (qos 1) {"v": 1}', "set/t (qos 1) 2"]
        assert all(rig.driver.owns_frame(rig.device(), frame) for frame in frames)
        rig.driver.trace(None)
