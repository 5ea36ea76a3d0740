"""A Modbus device beside a test, in a thread of its own: it goes on while gateways are killed, and keeps a log."""

from __future__ import annotations

import asyncio
import threading

from tests.drivers.modbus.fault_server import FaultServer

_WRITES = (5, 6, 15, 16, 22)


class FieldDevice:
    """`server` may be switched from the test's thread: its attributes are plain values."""

    def __init__(self) -> None:
        self.server = FaultServer()
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="field device", daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    @property
    def port(self) -> int:
        return self.server.port

    def writes(self) -> list[tuple[int, int]]:
        """(address, value) of every write that reached the device."""
        return [(address, value) for _, function, address, value in list(self.server.requests) if function in _WRITES]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with self.server.running():
            self._up.set()
            await self._ending.wait()
