"""One request at a time on one connection: sent, answered, or given up; what belongs to nobody never becomes a value.

Answers with a transaction number (Modbus TCP) are matched by it. Answers without one (RTU, ASCII) are matched by
unit, function code and length, and a request that an older, unanswered one could be mistaken for is not sent before
the unit has proved that the older answer will not come (owed.py).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping

from drivers.modbus import echo as echoes
from drivers.modbus.echo import Echo
from drivers.modbus.framing import Adu, BadSum, Framing, Garbage
from drivers.modbus.link import Link, Opener
from drivers.modbus.owed import Owed, Unsettled
from drivers.modbus.refusals import refusal
from drivers.modbus.silence import Silence
from gateway.errors import BadFrame, DeviceUnavailable, GatewayError, LinkLost

_PLACE = struct.Struct(">HH")
_EXCEPTION = 0x80
_LOOPBACK = 8
_ROOM = 8192
_MARKER_SHARE = 0.8
_QUIET_SHARE = 0.25
_LAST = 1.9
"""A call of `exchange` ends within this many time-outs: the kernel cuts calls off after two."""
_LISTEN_S = 0.3
_PATIENCE_S = 2.0
"""A unit that proves nothing is given at least so long for an answer, however short the time-out is."""

Tap = Callable[[bool, bytes], None]
"""Told each piece of bytes: whether we sent it, and the bytes."""


class Wire:
    """A connection with its framing. Calls must not overlap: the arbiter's rule.

    `name`: where it leads, for people. `gap_s`: silence between frames that the line demands. `reopens`: whether a
    connection on which nothing comes any more is worth replacing (TCP; a serial port is not). `doubt`: why the other
    side may have hung up before it said anything.
    """

    def __init__(
        self,
        name: str,
        opener: Opener,
        framing: Framing,
        timeout_s: float,
        *,
        gap_s: float = 0.0,
        echo: bool = False,
        reopens: bool = True,
        doubt: str = "",
    ) -> None:
        self.name = name
        self._open = opener
        self._framing = framing
        self._timeout = timeout_s
        self._gap = gap_s
        self._reopens = reopens
        self._doubt = doubt
        self._link: Link | None = None
        self._wanted, self._gone = False, ""
        self._listened = framing.tagged
        self._buffer = b""
        self._echo = Echo(expected=echo)
        self._future: asyncio.Future[bytes] | None = None
        self._unit = self._code = self._number = 0
        self._size, self._confirms = -1, b""
        self._sent = self._deadline = self._last_byte = 0.0
        self._heard, self._odd = False, ""
        self._silence = Silence()
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_end: asyncio.Future[None] | None = None
        self._owed = Owed()
        self.lateness: Mapping[int, float] = self._owed.lateness
        """The longest seconds of an answer that came too late, by unit."""
        self._markers: dict[int, int] = {}
        self._mute: set[int] = set()
        self.tap: Tap | None = None
        """Called with all bytes sent and received while it is set."""
        self.on_late: Callable[[int, float], None] | None = None
        """Called with unit and seconds for each answer that came after its request was given up."""
        self.foreign = 0
        """Frames that answered another request than the one in flight."""
        self.late = 0
        """Of those, the ones that an earlier request of ours had asked for."""

    async def connect(self) -> None:
        """Open the connection. Raises LinkLost with the reason."""
        self._drop()
        self._wanted, self._gone, self._number = True, "", 0
        try:
            async with asyncio.timeout(self._timeout):
                self._link = await self._open(lambda: Link(self))
        except TimeoutError:
            raise LinkLost(f"cannot connect to {self.name}: no answer within {self._timeout:g} s") from None
        except OSError as error:
            raise LinkLost(f"cannot connect to {self.name}: {reason_of(error)}") from error
        self._silence.over()
        if not self._listened:  # answers to what another process asked just before must not become ours
            self._listened = True
            await asyncio.sleep(min(_LISTEN_S, self._timeout))
            self._buffer = b""

    @property
    def framing(self) -> Framing:
        return self._framing

    def close(self) -> None:
        """Close for good, until `connect`; harmless when there is no connection."""
        self._wanted = False
        self._drop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop(self) -> None:
        """Give this connection up; the next request opens another one."""
        link, self._link = self._link, None
        self._buffer = b""
        if link is not None and link.transport is not None:
            link.transport.abort()

    # --- asking -----------------------------------------------------------------------------------------------

    async def read(self, unit: int, code: int, start: int, count: int, size: int) -> bytes:
        """The data of one read, `size` bytes exactly. Raises as `PollingDriver.read` says."""
        raw = await self.exchange(unit, code, _PLACE.pack(start, count), size)
        if len(raw) != size + 1 or raw[0] != size:
            raise BadFrame(f"asked for {size} bytes of data, got {len(raw) - 1} (announced {raw[0] if raw else 0})")
        return raw[1:]

    async def exchange(
        self,
        unit: int,
        code: int,
        payload: bytes,
        size: int = -1,
        *,
        confirms: bytes = b"",
        limit_s: float | None = None,
        any_age: bool = False,
    ) -> bytes:
        """Send one request and return what follows the function code in its answer. Raises as `read`.

        `size`: bytes of data that the answer announces and carries, -1 where it is no read. `confirms`: what the answer
        to a write repeats. `limit_s`: a shorter time-out than the channel's. `any_age`: an older answer will do too.
        """
        if not self._wanted or self._gone:
            raise LinkLost(self._gone or "not connected")
        if self._link is None:  # we gave the last one up ourselves
            await self.connect()
        begin = asyncio.get_running_loop().time()
        if not (any_age or self._framing.tagged) and self._owed.is_ambiguous(unit, code, begin):
            await self._clear_way(unit, code)
        self._confirms = confirms
        limit = self._timeout if limit_s is None else min(limit_s, self._timeout)
        pdu = await self._ask(unit, code, payload, size, limit, begin + _LAST * self._timeout)
        if pdu[0] & _EXCEPTION:
            error = refusal(pdu[1])
            if isinstance(error, DeviceUnavailable) and not self._framing.tagged:
                self._owe(unit, code)  # a converter gave the unit up, whose own answer may still come
            raise error
        return pdu[1:]

    async def _ask(self, unit: int, code: int, payload: bytes, size: int, limit: float, last: float) -> bytes:
        """One request and its answer's PDU. What silence leaves open is kept in `_owed`."""
        loop = asyncio.get_running_loop()
        if self._gap and (wait := self._last_byte + self._gap - loop.time()) > 0:
            await asyncio.sleep(wait)
        link = self._link
        if link is None or link.transport is None:
            raise LinkLost(f"connection to {self.name} is gone")
        self._number = self._number % 0xFFFF + 1
        frame = self._framing.build(self._number, unit, bytes((code,)) + payload)
        self._unit, self._code, self._size = unit, code, size
        self._silence.asked(unit)
        self._heard, self._odd, self._buffer = False, "", b""
        self._echo.sent(frame)
        future = self._future = loop.create_future()
        self._sent = self._last_byte = loop.time()
        self._arm(loop, self._sent + limit)
        link.transport.write(frame)
        if self.tap is not None:
            self.tap(True, frame)
        try:
            pdu: bytes = await future
        except BadFrame:
            await self._given_up(unit, code, limit, last)
            raise
        except _Silence:
            error = self._no_answer(unit, limit)
            if not isinstance(error, LinkLost):
                await self._given_up(unit, code, limit, last)
            raise error from None
        except (LinkLost, asyncio.CancelledError):  # a serial server may give the answer to the next connection
            self._future = None
            self._owe(unit, code)
            raise
        finally:
            self._future = None
        self._silence.over()
        return pdu

    async def _given_up(self, unit: int, code: int, limit: float, last: float) -> None:
        """On a line without numbers, note the debt and give the late answer a moment while nothing is asked."""
        if self._framing.tagged:
            return
        self._future = None
        self._owe(unit, code)
        loop = asyncio.get_running_loop()
        seen = self._owed.lateness.get(unit)
        until = self._sent + (seen * 1.1 + 0.01 if seen is not None else limit * (1 + _QUIET_SHARE))
        wait = min(until, last) - loop.time()
        if wait <= 0:
            return
        end = self._quiet_end = loop.create_future()
        timer = loop.call_later(wait, _resolve, end)
        try:
            await end
        finally:
            timer.cancel()
            self._quiet_end = None

    def _owe(self, unit: int, code: int) -> None:
        """Note an answer that may still come. Half of one on a numbered stream would shift every later frame."""
        if self._framing.tagged:
            if self._buffer:
                self._drop()
        else:
            self._owed.note(unit, code, self._sent, asyncio.get_running_loop().time())

    async def _clear_way(self, unit: int, code: int) -> None:
        """Make sure that no older answer of this unit is still to come. Raises DeviceUnavailable when it may.

        The proof is a loopback (function 8, V1.1b3 6.8) with a number of its own: units answer in order, an
        exception is an answer too. Units that leave it unanswered are given time instead.
        """
        loop = asyncio.get_running_loop()
        tries = self._markers[unit] = self._markers.get(unit, 0) + 1
        if unit in self._mute or tries % 2 == 0:
            patience = max(_PATIENCE_S, 4 * self._timeout, 3 * self._owed.lateness.get(unit, 0.0))
            if not self._owed.is_older(unit, code, loop.time() - patience):
                raise Unsettled(f"unit {unit} may still answer an older request")
            if tries > 1:
                self._mute.add(unit)
            self._owed.settled(unit)
            return
        nonce = struct.pack(">HH", 0, self._number % 0xFFFF + 1)
        limit = self._timeout * _MARKER_SHARE
        self._confirms = b""
        pdu = await self._ask(unit, _LOOPBACK, nonce, -1, limit, loop.time() + limit)
        if pdu[0] & _EXCEPTION and isinstance(error := refusal(pdu[1]), DeviceUnavailable):
            raise error
        if pdu[0] & _EXCEPTION or pdu[1:] == nonce:
            self._owed.settled(unit, kept=_LOOPBACK)
            self._markers.pop(unit, None)
            self._mute.discard(unit)
        else:
            raise DeviceUnavailable(f"unit {unit} answers older requests")

    def _no_answer(self, unit: int, limit: float) -> GatewayError:
        """Time is up. Half a frame would shift every later one on a stream: such a connection is not used again."""
        if self._echo.is_due:
            if (held := self._echo.give_up()) and self.tap is not None:
                self.tap(False, held)
            return BadFrame(echoes.MISSING)
        if self._buffer:
            if self._framing.tagged:
                self._drop()
            return BadFrame("half an answer came")
        if self._odd:
            return BadFrame(self._odd)
        if self._heard:
            self._silence.over()
        elif limit >= self._timeout:  # one that was given less time (a scan's) may still answer
            self._silence.longer(unit)
        if self._reopens and self._silence.is_broken:
            self._drop()  # the other end may be gone without a word; units that live answer on a new connection
        return DeviceUnavailable(f"unit {unit} did not answer within {limit:g} s")

    # --- what comes ---------------------------------------------------------------------------------------------

    def received(self, link: Link, data: bytes) -> None:
        """Bytes of a connection; of one that was given up they are nobody's."""
        if link is not self._link:
            return
        self._heard = True
        self._last_byte = asyncio.get_running_loop().time()
        data = self._echo.past(data)
        if self.tap is not None and data:
            self.tap(False, data)
        self._buffer = self._buffer + data if self._buffer else data
        try:
            while self._buffer:
                adu, used = self._framing.take(self._buffer, self._unit, self._code)
                self._buffer = self._buffer[used:]
                if adu is None:
                    break
                self._match(adu)
        except BadSum:
            came_back, self._buffer = self._echo.begins(self._buffer), b""
            self._fail(BadFrame(echoes.UNEXPECTED if came_back else "the check sum of the answer is wrong"))
        except Garbage as error:
            self._fail(BadFrame(str(error)))
            self._drop()
        if len(self._buffer) > _ROOM:
            self._buffer = b""

    def lost(self, link: Link, error: Exception | None) -> None:
        """A connection ended by itself."""
        if link is not self._link:
            return
        self._link = None
        text = f" ({reason_of(error)})" if isinstance(error, OSError) else ""
        self._gone = f"connection to {self.name} was lost{text}{'' if link.heard else self._doubt}"
        self._fail(LinkLost(self._gone))

    def _match(self, adu: Adu) -> None:
        future = self._future
        if future is None or future.done():
            self._unasked(adu)
        elif self._framing.tagged:
            if adu.number != self._number or (self._unit and adu.unit != self._unit):
                self.foreign += 1
            elif adu.pdu[0] & ~_EXCEPTION != self._code:
                raise Garbage(f"answer with function code {adu.pdu[0]} to a request with {self._code}")
            else:
                future.set_result(adu.pdu)
        elif adu.unit != self._unit or adu.pdu[0] & ~_EXCEPTION != self._code:
            self._unasked(adu)
        elif self._size >= 0 and not adu.pdu[0] & _EXCEPTION and len(adu.pdu) != self._size + 2:
            self._odd = f"asked for {self._size} bytes of data, got {len(adu.pdu) - 2}"
            self._unasked(adu)
        elif self._confirms and not adu.pdu[0] & _EXCEPTION and adu.pdu[1:] != self._confirms:
            self._odd = f"{self._confirms.hex()} was confirmed with {adu.pdu[1:].hex()}"
            self._unasked(adu)
        else:
            future.set_result(adu.pdu)

    def _unasked(self, adu: Adu) -> None:
        """A frame that nobody waits for (any more)."""
        self.foreign += 1
        if self._framing.tagged:
            return
        seconds = self._owed.paid(adu.unit, adu.pdu[0] & ~_EXCEPTION, self._last_byte)
        if seconds is None:
            return
        self.late += 1
        if self.on_late is not None:
            self.on_late(adu.unit, seconds)
        if self._quiet_end is not None and not self._owed.is_open(adu.unit):
            _resolve(self._quiet_end)

    def _fail(self, error: GatewayError) -> None:
        """End the request in flight, if there is one."""
        if self._future is not None and not self._future.done():
            self._future.set_exception(error)

    # --- time -----------------------------------------------------------------------------------------------------

    def _arm(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        """One timer that is moved lazily, none per request."""
        if self._timer is not None and deadline < self._deadline:
            self._timer.cancel()
            self._timer = None
        self._deadline = deadline
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        future = self._future
        if future is None or future.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._look)
        else:
            future.set_exception(_Silence())


class _Silence(Exception):
    """Nothing came in time."""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def reason_of(error: OSError) -> str:
    """What the system says, without numbers and addresses that stand in the text already."""
    return error.strerror or str(error) or type(error).__name__
