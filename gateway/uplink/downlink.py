"""Joins what comes down with who serves it: commands to the ops, acks to the cursor, jobs to their desk."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.health import Health
from gateway.journal import Consumer
from gateway.mqttclient.connection import Connection, ConnectionLost, Inbound
from gateway.uplink.acks import ConsumerAcks, parse_ack
from gateway.uplink.commanddesk import CommandDesk, DeskClosed
from gateway.uplink.commandrow import Reply
from gateway.uplink.commands import MAX_PAYLOAD, body, is_rid, parse_command
from gateway.uplink.counters import Counters
from gateway.uplink.delivery import Delivery
from gateway.uplink.inbound import Beside, Dispensable, Downlink
from gateway.uplink.joblink import NEXT, JobLink
from gateway.uplink.ports import Caller, Identity
from gateway.uplink.results import Results
from gateway.uplink.shadowing import ShadowLink
from gateway.uplink.sources import Sources
from gateway.uplink.verdict import Verdict

if TYPE_CHECKING:
    from gateway.uplink.parts import PartLink
    from gateway.uplink.twins.link import TwinLink

_COMMAND = "down/command/"
_SHADOW = "shadow/"
_WHO = 64

_log = logging.getLogger("fieldpost")


class Receiver:
    """Serves the downlink of one uplink."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        consumer: Consumer | None,
        desk: CommandDesk,
        health: Health,
        counters: Counters,
        clock: Clock,
        shadow: ShadowLink | None = None,
        twins: TwinLink | None = None,
        jobs: JobLink | None = None,
    ) -> None:
        self._name = name
        self._desk = desk
        self._counters = counters
        self._results = Results(name, identity, desk)
        self._acks = ConsumerAcks(consumer) if consumer is not None else None
        self._lock = asyncio.Lock()
        self._shadow = shadow
        filters = ["down/#", *(shadow.filters if shadow is not None else [])]
        self._twins = twins
        beside = None
        if twins is not None:
            beside = Beside(twins.filters, twins.prefix, twins.admit, twins.leave, twins.handle)
        self._jobs = jobs
        self.parts: PartLink | None = None
        """Hears what is fetched over this uplink, while something is."""
        later = Dispensable(NEXT, clock) if jobs is not None else None
        self._downlink = Downlink(name, identity, health, self._handle, filters, beside, later)
        self._asked = asyncio.Event()
        self._payload = 0
        self._sources: Sources | None = None
        self._delivery: Delivery | None = None
        self._verdict: Verdict | None = None

    async def run(
        self, connection: Connection, sources: Sources, delivery: Delivery, verdict: Verdict, payload: int
    ) -> None:
        """Serve one connection whose messages may have `payload` bytes. Raises ConnectionLost."""
        self._sources, self._delivery, self._verdict, self._payload = sources, delivery, verdict, payload
        async with asyncio.TaskGroup() as group:
            if self._jobs is not None:  # first: it empties the box that what comes down fills
                group.create_task(self._jobs.run(connection, payload, self.resubscribe))
            group.create_task(self._serve(connection))
            group.create_task(self._downlink.run(connection))
            group.create_task(self._results.run(connection, payload))

    def resubscribe(self) -> None:
        """Ask for the retained documents again: a device was added."""
        self._asked.set()

    async def _serve(self, connection: Connection) -> None:
        """Subscribe, then let the shadows speak: what was desired meanwhile comes first."""
        await self._subscribe(connection)
        async with asyncio.TaskGroup() as group:
            if self._shadow is not None:
                group.create_task(self._shadow.run(connection, self.resubscribe))
            if self._twins is not None:
                group.create_task(self._twins.run(connection))
            while True:
                self._asked.clear()
                await self._asked.wait()
                await self._subscribe(connection)

    async def _subscribe(self, connection: Connection) -> None:
        """Raises ConnectionLost when the connection is gone meanwhile."""
        await self._downlink.subscribe(connection)
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # wait_for of Python 3.11 loses a cancellation that meets the answer
            raise asyncio.CancelledError
        if connection.closed.done():
            raise connection.closed.result()

    async def _handle(self, connection: Connection, topic: str, message: Inbound) -> None:
        if topic == "down/ack":
            await self._ack(message)
        elif topic.startswith(_COMMAND):
            await self._command(connection, topic.removeprefix(_COMMAND), message)
        elif topic == NEXT and self._jobs is not None:
            await self._jobs.handle(message.payload)
        elif topic.startswith("job/") and self.parts is not None:
            self.parts.handle(topic, message.payload)
        elif topic.startswith(_SHADOW) and self._shadow is not None:
            await self._shadow.handle(connection, topic, message)

    async def _command(self, connection: Connection, rid: str, inbound: Inbound) -> None:
        """Returns when the command is on disk or answered: then the broker's message may be confirmed."""
        if not is_rid(rid):
            return  # nowhere to answer
        if inbound.retain:  # it would be done again at some connection, when its rid is long forgotten
            _log.warning("a retained message is no command: %s", rid)
            return
        reply = Reply(self._name, inbound.response_topic, inbound.correlation)
        result = await self._take(rid, inbound.payload, reply)
        if result is not None:
            await self._results.answer(connection, rid, reply, result, self._payload)

    async def _take(self, rid: str, payload: bytes, reply: Reply) -> bytes | None:
        if len(payload) > MAX_PAYLOAD:
            return self._desk.refused(rid, body(413, {"text": f"a command has at most {MAX_PAYLOAD} bytes"}))
        command = parse_command(payload)
        if command is None or command.rid != rid:
            text = "not a command of version 1, or its rid is not the topic's"
            return self._desk.refused(rid, body(400, {"text": text}))
        caller = Caller(command.origin[:_WHO] or "cloud", rid=rid, uplink=self._name)
        try:
            return await self._desk.take(command, caller, reply)
        except DeskClosed as closed:
            raise ConnectionLost(str(closed)) from closed  # not confirmed: the broker keeps it

    async def _ack(self, message: Inbound) -> None:
        assert self._acks is not None
        assert self._sources is not None
        assert self._delivery is not None
        assert self._verdict is not None
        ack = parse_ack(message.payload)
        async with self._lock:  # acks apply one after the other, in order
            good = ack is not None and await self._acks.apply(ack, self._sources.told())
        if not good:
            self._counters.bad_acks += 1
            return
        self._verdict.consumer_heard()
        self._delivery.heard()
