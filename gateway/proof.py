"""The consumer's side of the proof: collects what a broker delivers and tells what is missing (protocol.md 2.9)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.ledger import Key, Ledger, Ranges, StreamLedger
from gateway.mqttclient.connection import (
    REFUSED,
    ConnectFailed,
    Connection,
    ConnectionLost,
    ConnectOptions,
    Inbound,
    Outgoing,
)
from gateway.tls import TlsSettings
from gateway.uplink.anylevel import connect_any
from gateway.uplink.codecs.base import JSON

__all__ = ["Collector", "Key", "Ledger", "Ranges", "StreamLedger", "collect"]

_RECONNECT_S = 0.2
_CONNACK_S = 3.0


class Collector:
    """A consumer: subscribes, fills a Ledger, reconnects for ever; optionally acknowledges (`ack: consumer`).

    With a `client_id` the session is kept at the broker between connections. `ack_s`: how often acks are sent, None
    for never. `on_message` sees each message after the ledger took it.
    """

    def __init__(
        self,
        url: str,
        tenant: str,
        gateway: str | None = None,
        *,
        client_id: str | None = None,
        username: str | None = None,
        password: str | None = None,
        tls: TlsSettings | None = None,
        ack_s: float | None = None,
        ledger: Ledger | None = None,
        on_message: Callable[[Inbound], None] | None = None,
    ) -> None:
        self.ledger = ledger or Ledger()
        self.connected = asyncio.Event()
        self._url = url
        self._tenant = tenant
        self._gateway = gateway or "+"
        self._ack_s = ack_s
        self._on_message = on_message
        self._options = ConnectOptions(
            client_id or f"fieldpost-proof-{secrets.token_hex(6)}",
            username,
            password,
            tls,
            clean_start=client_id is None,
            session_expiry_s=3600 if client_id else 0,
            receive_maximum=1000,
            connack_s=_CONNACK_S,
        )
        self._acked: dict[tuple[str, str, int], int] = {}
        self.changed = asyncio.Event()
        self.refused: str | None = None
        self.seen = False

    async def run(self) -> None:
        """Collect until cancelled. Raises PermissionError when the broker refuses the subscription."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    connection = await connect_any(self._url, self._options)
                except ConnectFailed:
                    await asyncio.sleep(_RECONNECT_S)
                    continue
                session = group.create_task(self._session(connection))
                await asyncio.wait({session})
                session.result()
                if self.refused is not None:
                    break
                self.connected.clear()
                await asyncio.sleep(_RECONNECT_S)

        if self.refused is not None:  # outside the group, so that it comes out as it is
            raise PermissionError(self.refused)

    async def _session(self, connection: Connection) -> None:
        root = f"fp/1/{self._tenant}/{self._gateway}"
        self._acked.clear()  # a broker that was killed may have lost them
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(connection))
                codes = await connection.subscribe([f"{root}/status", f"{root}/birth/#", f"{root}/up/#"])
                if any(code >= REFUSED for code in codes):
                    self.refused = f"the broker refuses the subscription to {root}"
                    raise ConnectionLost(self.refused)  # noqa: TRY301 - a group is ended by what is raised in it
                self.connected.set()
                self.seen = True
                if self._ack_s is not None:
                    group.create_task(self._acknowledge(connection, self._ack_s))
        except* ConnectionLost:
            pass
        finally:
            connection.abort()

    async def _receive(self, connection: Connection) -> None:
        while True:
            message = await connection.receive()
            self.ledger.take(message.topic, message.payload)
            if self._on_message is not None:
                self._on_message(message)
            connection.confirm(message)
            self.changed.set()

    async def _acknowledge(self, connection: Connection, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            for ack in self.ledger.acks():
                gateway = ack.pop("gateway")
                key = (gateway, ack["stream"], ack["epoch"])
                if ack["upto"] > self._acked.get(key, 0):
                    self._acked[key] = ack["upto"]
                    topic = f"fp/1/{self._tenant}/{gateway}/down/ack"
                    await connection.publish(Outgoing(topic, msgspec.json.encode(ack), JSON))


async def collect(
    url: str,
    tenant: str,
    gateway: str | None = None,
    *,
    seconds: float = 10.0,
    until_complete: bool = False,
    from_first: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Collect for `seconds`, or shorter when all is accounted for and `until_complete`; returns the report.

    `options` as for Collector. Raises ConnectionError when the broker could not be reached in that time,
    PermissionError when it refuses the subscription.
    """
    collector = Collector(url, tenant, gateway, **options)
    ledger = collector.ledger
    try:
        async with asyncio.timeout(seconds):
            await _listen(collector, lambda: until_complete and ledger.complete(from_first=from_first))
    except TimeoutError:
        pass
    if collector.refused is not None:
        raise PermissionError(collector.refused)
    if not collector.seen:
        raise ConnectionError(f"{url}: no connection within {seconds:g} s")
    return ledger.report(from_first=from_first)


async def _listen(collector: Collector, enough: Callable[[], bool]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(collector.run())
            await collector.connected.wait()
            while not enough():
                await collector.changed.wait()
                collector.changed.clear()
            running.cancel()
    except* PermissionError:
        pass  # the collector keeps the reason
