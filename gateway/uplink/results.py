"""Publishes results of commands over one uplink, until its broker has them."""

from __future__ import annotations

import asyncio

from gateway.mqttclient.connection import REFUSED, Connection, Outgoing
from gateway.uplink.codecs.base import JSON
from gateway.uplink.commanddesk import CommandDesk
from gateway.uplink.commandrow import Reply
from gateway.uplink.commands import fitting
from gateway.uplink.ports import Identity

_AT_ONCE = 4
_MAX_TOPIC = 256
_NOT_IN_A_TOPIC = frozenset("+#\0")
_TRIES = 3
"""Connections on which a response topic is tried: a broker may hang up on one that is not allowed."""


class Results:
    """The publishing side of one uplink. What a connection did not acknowledge goes again on the next one."""

    def __init__(self, uplink: str, identity: Identity, desk: CommandDesk) -> None:
        self._uplink = uplink
        self._identity = identity
        self._desk = desk
        self._tries: dict[str, int] = {}

    async def run(self, connection: Connection, payload: int) -> None:
        """Serve one connection whose messages may have `payload` bytes. Raises ConnectionLost."""
        box = self._desk.outbox.box(self._uplink)
        box.notes.clear()
        tried: set[str] = set()
        slots = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                box.bell.clear()
                while box.notes:
                    rid, note = box.notes.popitem()
                    await self._publish(connection, self._topic(rid), note)
                tried.intersection_update(box.owed)
                self._tries = {rid: count for rid, count in self._tries.items() if rid in box.owed}
                for rid, replies in list(box.owed.items()):
                    if rid not in tried:
                        tried.add(rid)
                        await slots.acquire()
                        group.create_task(self._send(connection, rid, replies, payload, slots))
                await box.bell.wait()

    async def answer(self, connection: Connection, rid: str, reply: Reply, result: bytes, payload: int) -> bool:
        """Publish one result, on `result/{rid}` and on the response topic. Whether the broker has taken both."""
        result = fitting(result, payload)
        code = await self._publish(connection, self._topic(rid), result)
        tried = self._tries.get(rid, 0)
        if reply.topic is None or not _is_topic(reply.topic) or tried >= _TRIES:
            return code < REFUSED
        self._tries[rid] = tried + 1
        answer = Outgoing(reply.topic, result, JSON, correlation=reply.correlation)
        told = await connection.publish(answer)
        if told < REFUSED:
            self._tries.pop(rid, None)
        return max(code, told) < REFUSED

    async def _send(
        self, connection: Connection, rid: str, replies: tuple[Reply, ...], payload: int, slots: asyncio.Semaphore
    ) -> None:
        try:
            result = self._desk.result(rid)
            taken = [await self.answer(connection, rid, reply, result, payload) for reply in replies if result]
            if all(taken):
                self._desk.told(rid, self._uplink)
        finally:
            slots.release()

    async def _publish(self, connection: Connection, topic: str, payload: bytes) -> int:
        return await connection.publish(Outgoing(topic, payload, JSON))

    def _topic(self, rid: str) -> str:
        return f"{self._identity.root}/result/{rid}"


def _is_topic(topic: str) -> bool:
    """Whether a broker takes it as the topic of a message."""
    return 0 < len(topic.encode()) <= _MAX_TOPIC and _NOT_IN_A_TOPIC.isdisjoint(topic)
