"""A scripted MQTT peer: raw packets, so that it answers what no broker answers on demand."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Script:
    """`refuses`, `hangs_up_on`: endings of filters, which are answered 0x87, or with the end of the connection.

    `puback` decides per (topic, payload): a reason code, None for no answer, or "disconnect:CODE".
    """

    puback: Callable[[str, bytes], int | str | None] = lambda topic, payload: 0
    connack: int = 0
    only_311: bool = False
    close_v5: bool = False
    receive_maximum: int | None = None
    max_packet: int | None = None
    suback: bool = True
    suback_code: int = 1
    refuses: str = ""
    hangs_up_on: str = ""
    silent_v5: bool = False
    pings: bool = True
    hold_acks: bool = False
    silent: bool = False


@dataclass
class Publish:
    topic: str
    payload: bytes
    mid: int
    dup: bool


@dataclass
class Peer:
    """`published` in order; `levels` of each CONNECT seen; filters of each SUBSCRIBE in `subscribed`; `most` unacknowledged publishes at one time."""

    script: Script
    published: list[Publish] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    subscribed: list[list[str]] = field(default_factory=list)
    most: int = 0
    received: int = 0
    unsubscribed: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._links: list[Link] = []

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: Link(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        for link in self._links:
            link.abort()

    def release(self) -> None:
        """Acknowledge what was held."""
        self.script.hold_acks = False
        for link in self._links:
            link.release()

    def push(self, topic: str, payload: bytes, mid: int) -> None:
        """Publish to the client with QoS 1."""
        self._links[-1].push(topic, payload, mid)

    def garbage(self) -> None:
        """A PUBACK that is too short to be one."""
        self._links[-1].transport.write(b"\x40\x01\x00")

    def topics(self) -> list[str]:
        return [publish.topic for publish in self.published]

    def payloads(self, ending: str) -> list[bytes]:
        return [publish.payload for publish in self.published if publish.topic.endswith(ending)]


class Link(asyncio.Protocol):
    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.buffer = b""
        self.level = 5
        self.open: list[Publish] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer._links.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        with contextlib.suppress(ValueError):
            self.peer._links.remove(self)

    def abort(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.peer.received += len(data)
        while (packet := self._packet()) is not None:
            self._handle(*packet)

    def _packet(self) -> tuple[int, bytes] | None:
        length, shift, at = 0, 0, 1
        while at < len(self.buffer):
            byte = self.buffer[at]
            length |= (byte & 127) << shift
            shift, at = shift + 7, at + 1
            if byte < 128:
                if len(self.buffer) < at + length:
                    return None
                head, body = self.buffer[0], self.buffer[at : at + length]
                self.buffer = self.buffer[at + length :]
                return head, body
        return None

    def _send(self, head: int, body: bytes) -> None:
        length, size = len(body), b""
        while True:
            length, low = divmod(length, 128)
            size += bytes([low | (128 if length else 0)])
            if not length:
                break
        self.transport.write(bytes([head]) + size + body)

    def _handle(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == 1:
            self._connect(body)
        elif kind == 3:
            self._publish(head, body)
        elif kind == 4:
            self.peer.confirmed.append(struct.unpack("!H", body[:2])[0])
        elif kind == 8 and self.peer.script.suback:
            self._subscribe(body)
        elif kind == 10:
            self.peer.unsubscribed += 1
            self._send(0xB0, body[:2] + (b"\0\0" if self.level == 5 else b""))
        elif kind == 12 and self.peer.script.pings:
            self._send(0xD0, b"")

    def _subscribe(self, body: bytes) -> None:
        script, filters, at = self.peer.script, [], 2 + (1 if self.level == 5 else 0)
        while at < len(body):
            size = struct.unpack("!H", body[at : at + 2])[0]
            filters.append(body[at + 2 : at + 2 + size].decode())
            at += 3 + size
        self.peer.subscribed.append(filters)
        if script.hangs_up_on and any(name.endswith(script.hangs_up_on) for name in filters):
            self.abort()
            return
        bad = [bool(script.refuses) and name.endswith(script.refuses) for name in filters]
        codes = bytes(0x87 if refused else script.suback_code for refused in bad)
        self._send(0x90, body[:2] + (b"\0" if self.level == 5 else b"") + codes)

    def _connect(self, body: bytes) -> None:
        script = self.peer.script
        self.level = body[6]
        self.peer.levels.append(self.level)
        if script.silent or (script.silent_v5 and self.level == 5):
            return
        if self.level == 5 and script.close_v5:
            self.abort()
            return
        if self.level == 5 and script.only_311:
            self._send(0x20, b"\0\1")
            self.transport.close()
            return
        if self.level != 5:
            self._send(0x20, b"\0\0")
            return
        properties = b""
        if script.receive_maximum is not None:
            properties += b"\x21" + struct.pack("!H", script.receive_maximum)
        if script.max_packet is not None:
            properties += b"\x27" + struct.pack("!I", script.max_packet)
        self._send(0x20, bytes([0, script.connack, len(properties)]) + properties)

    def _publish(self, head: int, body: bytes) -> None:
        size = struct.unpack("!H", body[:2])[0]
        topic = body[2 : 2 + size].decode()
        at = 2 + size
        mid = struct.unpack("!H", body[at : at + 2])[0]
        at += 2
        if self.level == 5:
            at += 1 + body[at]  # properties of ours are below 128 bytes
        publish = Publish(topic, body[at:], mid, bool(head & 8))
        self.peer.published.append(publish)
        self.open.append(publish)
        self.peer.most = max(self.peer.most, len(self.open))
        if not self.peer.script.hold_acks:
            self._answer(publish)

    def release(self) -> None:
        for publish in list(self.open):
            self._answer(publish)

    def _answer(self, publish: Publish) -> None:
        answer = self.peer.script.puback(publish.topic, publish.payload)
        if answer is None:
            return
        if isinstance(answer, str):
            self._send(0xE0, bytes([int(answer.split(":")[1], 16), 0]))
            self.transport.close()
            return
        self.open.remove(publish)
        self._send(0x40, struct.pack("!H", publish.mid) + (bytes([answer, 0]) if self.level == 5 and answer else b""))

    def push(self, topic: str, payload: bytes, mid: int) -> None:
        name = topic.encode()
        self._send(
            0x32,
            struct.pack("!H", len(name))
            + name
            + struct.pack("!H", mid)
            + (b"\0" if self.level == 5 else b"")
            + payload,
        )
