"""Joins what comes down with who serves it: commands to the ops, acks to the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.clock import Clock
from gateway.health import Health
from gateway.journal import Consumer
from gateway.uplink.acks import ConsumerAcks, parse_ack
from gateway.uplink.commands import Commands
from gateway.uplink.connection import Connection, Inbound
from gateway.uplink.counters import Counters
from gateway.uplink.delivery import Delivery
from gateway.uplink.inbound import Downlink
from gateway.uplink.ports import Identity, OpHandler
from gateway.uplink.sources import Sources
from gateway.uplink.verdict import Verdict

_COMMAND = "down/command/"


class Receiver:
    """Serves the downlink of one uplink; lives as long as it, because rids are known over connections."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        consumer: Consumer | None,
        ops: OpHandler,
        clock: Clock,
        health: Health,
        counters: Counters,
        rebirth: Callable[[], None],
    ) -> None:
        self._ops = ops
        self._rebirth = rebirth
        self._counters = counters
        self._commands = Commands(identity, self._op, clock)
        self._acks = ConsumerAcks(consumer) if consumer is not None else None
        self._lock = asyncio.Lock()
        self._downlink = Downlink(name, identity, health, self._handle)
        self._sources: Sources | None = None
        self._delivery: Delivery | None = None
        self._verdict: Verdict | None = None

    async def run(self, connection: Connection, sources: Sources, delivery: Delivery, verdict: Verdict) -> None:
        """Serve one connection. Raises ConnectionLost."""
        self._sources, self._delivery, self._verdict = sources, delivery, verdict
        async with asyncio.TaskGroup() as group:
            group.create_task(self._downlink.subscribe(connection))
            group.create_task(self._downlink.run(connection))

    async def _handle(self, connection: Connection, topic: str, message: Inbound) -> None:
        if topic == "down/ack":
            await self._ack(message)
        elif topic.startswith(_COMMAND):
            await self._commands.handle(connection, topic.removeprefix(_COMMAND), message)

    async def _op(self, op: str, device: str | None, args: dict[str, Any]) -> dict[str, Any]:
        if op == "rebirth":
            self._rebirth()
            return {"code": 200}
        return await self._ops(op, device, args)

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
