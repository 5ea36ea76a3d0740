"""A Modbus TCP device that times a rule at its own socket: from the answer that changes a register to the write.

Run by rule_reaction:  python -m benchmarks.reacting_device RUNS
Holding register 0 shows 0. After some polls it shows 100: the clock runs from the moment that answer is handed to the
socket until the bytes of a write arrive. Then it shows 0 again. Prints its port, and at the end the times in seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import sys
import time

_HEADER = struct.Struct(">HHHB")
_SOON, _LATE = 4, 12
"""After so many polls, at random, the register changes."""


class Times:
    """What is measured. One master, one unit."""

    def __init__(self, runs: int) -> None:
        self._draw = random.Random(1)
        self._runs = runs
        self._polls = _LATE
        self._since: float | None = None
        self.found: list[float] = []
        self.done = asyncio.Event()

    def poll(self) -> int:
        """The register's value for the answer that is handed to the socket now."""
        if self._since is None:
            self._polls -= 1
            if self._polls <= 0:
                # Before the call that sends it: the gateway may be faster than its return.
                self._since = time.perf_counter()
        return 0 if self._since is None else 100

    def written(self, at: float) -> None:
        """A write arrived."""
        if self._since is not None:
            self.found.append(at - self._since)
            self._since, self._polls = None, self._draw.randint(_SOON, _LATE)
            if len(self.found) >= self._runs:
                self.done.set()


class Peer(asyncio.Protocol):
    def __init__(self, times: Times) -> None:
        self._times = times
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter()
        self._buffer += data
        while len(self._buffer) >= 8:
            transaction, _, length, unit = _HEADER.unpack_from(self._buffer)
            if len(self._buffer) < 6 + length:
                return
            pdu, self._buffer = self._buffer[7 : 6 + length], self._buffer[6 + length :]
            self._serve(transaction, unit, pdu, at)

    def _serve(self, transaction: int, unit: int, pdu: bytes, at: float) -> None:
        function = pdu[0]
        if function in (5, 6, 15, 16):
            self._times.written(at)
            self._send(transaction, unit, pdu[:5])
            return
        count = struct.unpack_from(">H", pdu, 3)[0]
        if function in (1, 2):
            size = (count + 7) // 8
            self._send(transaction, unit, bytes((function, size)) + b"\x01" * size)
            return
        words = self._times.poll().to_bytes(2, "big") * count
        self._send(transaction, unit, bytes((function, len(words))) + words)

    def _send(self, transaction: int, unit: int, pdu: bytes) -> None:
        self._transport.write(_HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu)


async def main(runs: int) -> None:
    times = Times(runs)
    server = await asyncio.get_running_loop().create_server(lambda: Peer(times), "127.0.0.1", 0)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await times.done.wait()
    print(f"times {json.dumps(times.found)} end", flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
