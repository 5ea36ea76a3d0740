"""A small agent of v2c with a table of values: the peer of the conformance checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pyasn1.codec.ber import decoder, encoder
from pyasn1.error import PyAsn1Error
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

Oid = tuple[int, ...]
OWN = (1, 3, 6, 1, 4, 1, 32473, 1)
"""Below the enterprise number for examples (RFC 5612)."""


def table() -> dict[Oid, Any]:
    """What it has at first."""
    return {
        (1, 3, 6, 1, 2, 1, 1, 1, 0): rfc1902.OctetString(b"bench supply"),
        (1, 3, 6, 1, 2, 1, 1, 3, 0): rfc1902.TimeTicks(4711),
        (*OWN, 1, 0): rfc1902.Integer32(-215),
        (*OWN, 2, 0): rfc1902.Counter32(4294967290),
        (*OWN, 3, 0): rfc1902.Counter64(2**40),
        (*OWN, 4, 0): rfc1902.Gauge32(12),
        (*OWN, 5, 0): rfc1902.OctetString(b"21.5"),
        (*OWN, 6, 0): rfc1902.IpAddress("192.0.2.7"),
        (*OWN, 7, 0): rfc1902.Integer32(1),
        (*OWN, 8, 0): rfc1902.ObjectIdentifier((1, 3, 6, 1, 4, 1, 32473)),
        (*OWN, 9, 0): rfc1902.Opaque(b"\x9f\x78\x04\x41\x48\x00\x00"),
    }


class Agent(asyncio.DatagramProtocol):
    """Answers GET, GETBULK and SET. `most`: with more OIDs it says tooBig; `broken`: OIDs that make it say genErr."""

    def __init__(self, most: int = 128, broken: frozenset[Oid] = frozenset()) -> None:
        self.values, self.most, self.broken = table(), most, broken
        self.asked: list[int] = []
        """Sizes of the requests."""
        self._wire: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """The socket is there."""
        self._wire = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One request, one answer; rubbish gets none."""
        try:
            message, _ = decoder.decode(data, asn1Spec=v2c.Message())
            if bytes(v2c.apiMessage.get_community(message)) != b"public":
                return
            pdu = v2c.apiMessage.get_pdu(message)
            answer = v2c.ResponsePDU()
            v2c.apiPDU.set_defaults(answer)
            v2c.apiPDU.set_request_id(answer, v2c.apiPDU.get_request_id(pdu))
            self._fill(pdu, answer)
            v2c.apiMessage.set_pdu(message, answer)
        except (PyAsn1Error, LookupError, ValueError, TypeError):
            return
        if self._wire is not None:
            self._wire.sendto(encoder.encode(message), addr)

    def _fill(self, pdu: Any, answer: Any) -> None:
        if isinstance(pdu, v2c.GetBulkRequestPDU):
            ((oid, _),) = v2c.apiBulkPDU.get_varbinds(pdu)
            after = sorted(known for known in self.values if known > tuple(oid))
            most = int(v2c.apiBulkPDU.get_max_repetitions(pdu))
            binds = [(known, self.values[known]) for known in after[:most]]
            v2c.apiPDU.set_varbinds(answer, binds or [(oid, rfc1905.endOfMibView)])
            return
        binds = v2c.apiPDU.get_varbinds(pdu)
        self.asked.append(len(binds))
        oids = [tuple(oid) for oid, _ in binds]
        status, index = self._refusal(pdu, oids)
        if not status and isinstance(pdu, v2c.SetRequestPDU):
            self.values.update({tuple(oid): value for oid, value in binds})
        if not status and isinstance(pdu, v2c.GetRequestPDU):
            binds = [(oid, self.values.get(oid, rfc1905.noSuchInstance)) for oid in oids]
        v2c.apiPDU.set_varbinds(answer, [] if status == 1 else binds)
        if status:
            v2c.apiPDU.set_error_status(answer, status)
            v2c.apiPDU.set_error_index(answer, index)

    def _refusal(self, pdu: Any, oids: list[Oid]) -> tuple[int, int]:
        if len(oids) > self.most:
            return 1, 0
        for number, oid in enumerate(oids, start=1):
            if oid in self.broken:
                return 5, number
            if isinstance(pdu, v2c.SetRequestPDU) and oid not in self.values:
                return 17, number
        return 0, 0


@asynccontextmanager
async def serve(make: Callable[[], Agent] = Agent) -> AsyncIterator[int]:
    """An agent on a free port of the loopback; gives the port."""
    wire, _ = await asyncio.get_running_loop().create_datagram_endpoint(make, local_addr=("127.0.0.1", 0))
    try:
        yield wire.get_extra_info("sockname")[1]
    finally:
        wire.close()


@asynccontextmanager
async def bench() -> AsyncIterator[int]:
    """The peer of the conformance checks."""
    async with serve() as port:
        yield port
