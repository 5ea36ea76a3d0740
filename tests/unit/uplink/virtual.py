"""An uplink on a manual clock with a broker in memory: days pass in seconds, and counts are exact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

from gateway.edgexevents.resources import Resource
from gateway.health import Health
from gateway.mqttclient.connection import MQTT_5, ConnectionLost, ConnectOptions, Inbound, Outgoing
from gateway.mqttclient.packets import packet_size
from gateway.mqttclient.window import Window
from gateway.settings.types import UplinkSettings
from gateway.testing import ManualClock
from gateway.uplink.ports import DeviceRow, Identity, Latest, TagRow
from gateway.uplink.uplink import Uplink
from tests.unit.uplink.memory_journal import MemoryJournal
from tests.unit.uplink.memory_table import MemoryTable
from tests.unit.uplink.memory_table import desk as make_desk

IDENTITY = Identity("gw1", "acme", "0.1.0", "5f0c9a1e")
ROOT = IDENTITY.root
URL = "mqtt://broker.example"


class VirtualConnection:
    """gateway.mqttclient.connection.Connection: the broker answers `delay` seconds after it was sent to."""

    def __init__(self, broker: VirtualBroker, options: ConnectOptions) -> None:
        self.url = URL
        self.level = MQTT_5
        self.max_packet = broker.max_packet
        self.closed: asyncio.Future[ConnectionLost] = asyncio.get_running_loop().create_future()
        self.inbox: asyncio.Queue[Inbound | None] = asyncio.Queue()
        self._broker = broker
        self._window = Window(options.window)
        self._open: list[asyncio.Future[int]] = []
        self._room: Callable[[], None] = lambda: None
        self._sent: Callable[[int], None] = lambda size: None
        self._line_free_at = broker.clock.mono()

    @property
    def room(self) -> int:
        return self._window.room

    @property
    def window(self) -> int:
        return self._window.size

    def on_room(self, callback: Callable[[], None]) -> None:
        self._room = callback

    def on_sent(self, callback: Callable[[int], None]) -> None:
        self._sent = callback

    def send(self, message: Outgoing) -> asyncio.Future[int]:
        self._window.take()
        return self._publish(message)

    async def publish(self, message: Outgoing) -> int:
        if self.closed.done():
            raise self.closed.result()
        await self._window.acquire()
        return await self._publish(message)

    def _publish(self, message: Outgoing) -> asyncio.Future[int]:
        if self.closed.done():
            raise self.closed.result()
        size = packet_size(message, MQTT_5)
        self._sent(size)
        self._broker.published.append(message)
        self._broker.bytes += size
        ack: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        ack.add_done_callback(self._freed)
        self._open.append(ack)
        clock = self._broker.clock
        code = self._broker.answer(message)
        self._line_free_at = max(self._line_free_at, clock.mono()) + size / self._broker.bytes_per_s
        delay = self._line_free_at - clock.mono() + self._broker.delay
        clock.call_later(delay, lambda: ack.done() or ack.set_result(code))
        return ack

    def _freed(self, ack: asyncio.Future[int]) -> None:
        self._open.remove(ack)
        self._window.give()
        if not ack.cancelled():
            ack.exception()
        self._room()

    async def subscribe(self, filters: list[str]) -> list[int]:
        return [1] * len(filters)

    async def receive(self) -> Inbound:
        message = await self.inbox.get()
        if message is None:
            self.inbox.put_nowait(None)
            raise self.closed.result()
        return message

    def confirm(self, message: Inbound) -> None:
        self._broker.confirmed.append(message.ticket)

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.end(ConnectionLost("closed by us"))

    def end(self, lost: ConnectionLost) -> None:
        if self.closed.done():
            return
        self.closed.set_result(lost)
        self.inbox.put_nowait(None)
        for ack in list(self._open):
            if not ack.done():
                ack.set_exception(lost)


class VirtualBroker:
    """`answer(message)` gives the PUBACK's code. A line of `bytes_per_s` and `delay` seconds to the broker and back."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.published: list[Outgoing] = []
        self.bytes = 0
        self.confirmed: list[int] = []
        self.connections: list[VirtualConnection] = []
        self.options: list[ConnectOptions] = []
        self.answer: Callable[[Outgoing], int] = lambda message: 0
        self.delay = 0.05
        self.bytes_per_s = 1e9
        self.max_packet: int | None = None

    async def connect(self, url: str, options: ConnectOptions) -> VirtualConnection:
        connection = VirtualConnection(self, options)
        self.connections.append(connection)
        self.options.append(options)
        return connection

    def drop(self, code: int | None = None) -> None:
        self.connections[-1].end(ConnectionLost("the broker went", code=code))

    def push(
        self, topic: str, body: Any, ticket: int = 1, *, retain: bool = False, response: str | None = None
    ) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = Inbound(f"{ROOT}/{topic}", payload, retain, 1, ticket, None, response, b"\x07" if response else None)
        self.connections[-1].inbox.put_nowait(message)

    def topics(self) -> list[str]:
        return [message.topic.removeprefix(f"{ROOT}/") for message in self.published]

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in self.published if message.topic == f"{ROOT}/{topic}"]


class JournalModel:
    """A ModelView of what the journal has seen."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal

    @property
    def rows(self) -> list[TagRow]:
        return [TagRow(row.alias, row.device, row.tag, "float64", "", "r") for row in self._journal.aliases().values()]

    @property
    def devices(self) -> list[DeviceRow]:
        return [DeviceRow(device, "sim", "") for device in {row.device for row in self._journal.aliases().values()}]

    @property
    def dict_no(self) -> int:
        return self._journal.dict_no


class Values:
    """A LatestView that a test fills."""

    def __init__(self) -> None:
        self.latest: dict[int, Latest] = {}
        self._listeners: list[Callable[[list[int]], None]] = []

    def current(self) -> list[Latest]:
        return list(self.latest.values())

    def get(self, slot: int) -> Latest | None:
        return self.latest.get(slot)

    def subscribe(self, listener: Any) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def set(self, slot: int, value: Any, device: str = "pump", tag: str = "speed") -> None:
        self.latest[slot] = Latest(slot, "line", device, tag, value, 0, 1_795_000_000_000)
        self.tell(slot)

    def remove(self, slot: int) -> None:
        del self.latest[slot]
        self.tell(slot)

    def tell(self, slot: int) -> None:
        for listener in self._listeners:
            listener([slot])


async def ops(op: str, device: str | None, args: dict[str, Any], caller: Any = None) -> dict[str, Any]:
    return {"code": 200, "out": {"op": op}}


class NoJitter(Random):
    """Draws the lower end: nobody waits to connect again."""

    def uniform(self, a: float, b: float) -> float:
        return a


class VirtualRig:
    """An uplink, its journal and its broker, all on one manual clock."""

    def __init__(self, **clock: Any) -> None:
        self.clock = ManualClock(**clock)
        self.health = Health(self.clock)
        self.journal = MemoryJournal()
        self.broker = VirtualBroker(self.clock)
        self.values = Values()
        self.table = MemoryTable()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *, random: Random | None = None, **settings: Any) -> Uplink:
        journal = None if settings.get("codec") == "flat" else self.journal
        presence = settings.pop("presence", None)
        resources = settings.pop("resources", self.resources)
        model = settings.pop("model", lambda: JournalModel(self.journal))
        desk = make_desk(settings.pop("handler", ops), self.clock, self.table)
        self._tasks.append(asyncio.ensure_future(desk.run()))
        uplink = Uplink(
            UplinkSettings("cloud", (URL,), "gw1", **settings), IDENTITY, journal, model,
            self.values, self.clock, self.health, desk, random=random or Random(1), connect=self.broker.connect,
            resources=resources, **({} if presence is None else {"presence": presence}),
        )  # fmt: skip
        self._tasks.append(asyncio.ensure_future(uplink.run()))
        await self.clock.settle()
        return uplink

    def resources(self) -> dict[int, Resource]:
        """Every tag is a resource of its own name, and a source of its own."""
        rows = self.journal.aliases().values()
        return {row.alias: Resource(row.device, row.device, "p", row.tag, row.tag) for row in rows}

    async def stop(self) -> None:
        """As a kill would: no goodbye."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def issues(self) -> set[str]:
        return {issue.id for issue in self.health.open()}
