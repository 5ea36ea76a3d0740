"""pymodbus' client, held to what the driver promises: one request at a time, no retries, nothing waits in vain.

Everything that relies on the inside of pymodbus 3.16 is in this file, and each use has a test:
- `client.register` (public): answers stay bytes, since turning 125 registers into a list and printing them
  costs more than the rest of a read.
- `trace_packet` (public): sees every answer first; a header that cannot be Modbus, or an answer with the function
  code of another request, ends the request at once instead of running into the time-out or closing the connection.
- `trace_connect` (public): a connection that drops ends the request in flight.
- `client.ctx.response_future`, `client.ctx.max_buffer_size`: the request in flight, and room for a late answer that
  arrives in the same segment as the right one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Iterator
from typing import Any

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from gateway.errors import BadFrame, DeviceUnavailable, GatewayError, LinkLost, RequestRefused

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge: the device needs more time",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Modbus Application Protocol V1.1b3, 7."""

_USELESS = {1, 2, 3}
_UNREACHABLE = {10, 11}
_HEADER = struct.Struct(">HHHBB")
_PLACE = struct.Struct(">HH")
_FRAME_OVERHEAD = 6
_LONGEST = 254  # unit, function code and 252 bytes: V1.1b3, 4.1
_NEVER = 1_000_000_000
_ROOM = 4096
SILENCE_LIMIT = 3
"""Requests in a row without any byte from the other side, until the connection is replaced before the next one."""


class _Raw(ModbusPDU):
    """Request or answer of any function: `raw` is all that follows the function code, untouched."""

    raw = b""

    def encode(self) -> bytes:
        return self.raw

    def decode(self, data: bytes) -> None:
        self.raw = data

    def __str__(self) -> str:
        return f"function {self.function_code}, {len(self.raw)} bytes"


def _answers() -> Iterator[type[_Raw]]:
    """A class for each function that the driver uses, with the length of its answer on a serial line."""
    for code in (1, 2, 3, 4):
        yield type(f"_Raw{code}", (_Raw,), {"function_code": code, "rtu_byte_count_pos": 2})
    for code, size in ((5, 8), (6, 8), (15, 8), (16, 8), (22, 10)):
        yield type(f"_Raw{code}", (_Raw,), {"function_code": code, "rtu_frame_size": size})


class Wire:
    """One Modbus TCP connection. Calls must not overlap: the arbiter's rule."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.host, self.port, self._timeout = host, port, timeout_s
        self._client: AsyncModbusTcpClient | None = None
        self._unit = self._code = 0
        self._received = self._partial = self._in_flight = self._wanted = False
        self._silent = 0
        self.foreign = 0
        """Frames that answered another request than the one in flight, since the driver started."""

    async def connect(self) -> None:
        """Open the connection. Raises LinkLost."""
        self._drop()
        # The kernel logs what it learns by exceptions; pymodbus would log every time-out once more, as an error.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        client = AsyncModbusTcpClient(
            self.host,
            port=self.port,
            timeout=self._timeout,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._on_packet,
            trace_connect=self._on_connect,
        )
        for answer in _answers():
            client.register(answer)
        client.set_max_no_responses(_NEVER)
        client.ctx.max_buffer_size = _ROOM
        self._client, self._wanted = client, True
        if not await _cancellable(client.connect()):
            self._drop()
            raise LinkLost(f"cannot connect to {self.host}:{self.port}")
        self._silent = 0

    def close(self) -> None:
        """Close for good, until `connect`; harmless when there is no connection."""
        self._wanted = False
        self._drop()

    def _drop(self) -> None:
        """Give this connection up; the next request opens another one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError):
                client.close()

    async def read(self, unit: int, code: int, start: int, count: int, size: int) -> bytes:
        """The data of one read, `size` bytes exactly. Raises as `PollingDriver.read` says."""
        raw = await self.exchange(unit, code, _PLACE.pack(start, count))
        if len(raw) != size + 1 or raw[0] != size:
            raise BadFrame(f"asked for {size} bytes of data, got {len(raw) - 1} (announced {raw[0] if raw else 0})")
        return raw[1:]

    async def exchange(self, unit: int, code: int, payload: bytes) -> bytes:
        """Send one request and return what follows the function code in its answer. Raises as `read`."""
        client = await self._live_client()
        request = _Raw(dev_id=unit)
        request.function_code = code
        request.raw = payload
        self._unit, self._code = unit, code
        self._received = self._partial = False
        self._in_flight = True
        try:
            answer: Any = await _cancellable(client.execute(False, request))
        except ModbusException as err:
            raise self._no_answer(unit) from err
        finally:
            self._in_flight = False
        self._silent = 0
        if answer.isError():
            raise _refusal(answer.exception_code)
        raw: bytes = answer.raw
        return raw

    async def _live_client(self) -> AsyncModbusTcpClient:
        """The client, connected. A connection that was given up on is replaced here."""
        if not self._wanted:
            raise LinkLost("not connected")
        if self._client is None:
            await self.connect()
        client = self._client
        if client is None or not client.connected:
            raise LinkLost(f"connection to {self.host}:{self.port} is gone")
        return client

    def _no_answer(self, unit: int) -> GatewayError:
        """Time is up. Half a frame would shift every later one: such a connection is not used again."""
        if self._client is None or not self._client.connected:
            self._drop()
            return LinkLost(f"connection to {self.host}:{self.port} was lost")
        if self._partial:
            self._drop()
            return BadFrame("half an answer came")
        self._silent = 0 if self._received else self._silent + 1
        if self._silent >= SILENCE_LIMIT:
            self._drop()  # the other end may be gone without a word; units that live answer on a new connection
        return DeviceUnavailable(f"unit {unit} did not answer within {self._timeout:g} s")

    # --- called by pymodbus -----------------------------------------------------------------------------------

    def _on_connect(self, connected: bool) -> None:
        if not connected:
            self._fail(LinkLost(f"connection to {self.host}:{self.port} was lost"))

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        """Look at what came before pymodbus does. `data` is all that is not used up yet."""
        if sending or self._client is None:
            return data
        self._received = True
        at = 0
        while len(data) - at >= _HEADER.size:
            tid, protocol, length, unit, code = _HEADER.unpack_from(data, at)
            if protocol != 0 or not 3 <= length <= _LONGEST:
                return self._garbage("noise on the connection")
            if len(data) - at < length + _FRAME_OVERHEAD:
                break
            if tid != self._client.ctx.request_transaction_id or (self._unit and unit != self._unit):
                self.foreign += 1
            elif code & 0x7F != self._code:
                return self._garbage(f"answer with function code {code} to a request with {self._code}")
            at += length + _FRAME_OVERHEAD
        self._partial = at < len(data)
        return data

    def _garbage(self, text: str) -> bytes:
        self._fail(BadFrame(text))
        self._drop()
        return b""

    def _fail(self, error: GatewayError) -> None:
        """End the request in flight, if there is one."""
        client = self._client
        if client is not None and self._in_flight and not client.ctx.response_future.done():
            client.ctx.response_future.set_exception(error)


async def _cancellable(call: Awaitable[Any]) -> Any:
    """Await `call` and never lose a cancellation.

    pymodbus waits with asyncio.wait_for, which on Python 3.11 returns the answer and drops the cancellation when both
    come in one turn of the loop. Under flat-out polling that is frequent, and a channel could not be stopped.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    result = await call
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


def _refusal(code: int) -> GatewayError:
    text = f"exception {code}: {EXCEPTIONS.get(code, 'unknown')}"
    if code in _UNREACHABLE:
        return DeviceUnavailable(text)
    return RequestRefused(text, code=code, reason="config" if code in _USELESS else "comm")
