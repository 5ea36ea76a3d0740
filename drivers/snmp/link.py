"""The connected UDP socket that the protocol library talks through: rubbish is dropped, refusals are seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from pyasn1.error import PyAsn1Error
from pysnmp.carrier.asyncio.dgram.udp import UdpTransportAddress
from pysnmp.carrier.base import AbstractTransport, AbstractTransportDispatcher
from pysnmp.error import PySnmpError

PEER = UdpTransportAddress(("127.0.0.1", 161))
"""What the library believes the agent's address to be: the real one is the socket's alone, of IPv4 or IPv6."""

_RUBBISH = (PySnmpError, PyAsn1Error, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What the library raises of datagrams that are no SNMP."""

Listener = Callable[[bool, bytes], None]


def _nothing(_: OSError) -> None:
    return


class Dispatcher(AbstractTransportDispatcher):  # type: ignore[misc] # the library has no types
    """The library's clock and router; it has no task, as its owner turns it with each request."""

    def turn(self) -> None:
        """Let the library forget requests that got no answer."""
        self.handle_timer_tick(time.time())


class Link(AbstractTransport, asyncio.DatagramProtocol):  # type: ignore[misc]
    """One socket, to one agent."""

    PROTO_TRANSPORT_DISPATCHER = Dispatcher
    ADDRESS_TYPE = UdpTransportAddress

    def __init__(self) -> None:
        self._wire: asyncio.DatagramTransport | None = None
        self.on_lost: Callable[[OSError], None] = _nothing
        self.listener: Listener | None = None
        self.dropped = 0

    @classmethod
    async def open(cls, host: str, port: int) -> Link:
        """A link to an agent. Raises OSError; nothing is sent."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_datagram_endpoint(cls, remote_addr=(host, port))
        return link

    def connection_made(self, transport: Any) -> None:
        """The socket is there."""
        self._wire = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by us or by a fault."""
        self._wire = None
        if exc is not None:
            self.on_lost(exc if isinstance(exc, OSError) else OSError(str(exc)))

    def error_received(self, exc: Exception) -> None:
        """The network says that nobody is there."""
        self.on_lost(exc if isinstance(exc, OSError) else OSError(str(exc)))

    def datagram_received(self, data: bytes, _: Any) -> None:
        """An answer, or rubbish: the library finds the request by its number."""
        if self.listener is not None:
            self.listener(False, data)
        take = self._callback_function
        if take is None:
            return
        try:
            take(self, PEER, data)
        except _RUBBISH:
            self.dropped += 1

    def send_message(self, message: Any, _: Any) -> None:
        """Send what the library made."""
        if self._wire is None:
            return
        data = bytes(message)
        if self.listener is not None:
            self.listener(True, data)
        self._wire.sendto(data)

    def close_transport(self) -> None:
        """End it; again, it is harmless."""
        super().close_transport()
        if self._wire is not None:
            self._wire.close()
