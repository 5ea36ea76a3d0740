"""One connection to a server: HTTP/1.1 by h11, within bounds. Raises LinkLost, DeviceUnavailable and BadFrame."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import Any, Final

import h11
from msgspec import Struct

from drivers.http.target import Target, digits
from gateway.errors import AuthError, BadFrame, DeviceUnavailable, LinkLost

HEAD_LIMIT: Final = 16_384
CHUNK: Final = 16_384


class Answer(Struct, frozen=True):
    """What came: `headers` with names in small letters."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")


class Stale(Exception):
    """The server had ended the kept connection: nothing of an answer came."""


def pinned(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context for a certificate that is compared by its fingerprint, whoever signed it."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Wire:
    """`used`: an answer came on it already, so the server may have ended it since. Times are the caller's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_answer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_answer = max_answer
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self.used = False

    @classmethod
    async def open(cls, target: Target, context: ssl.SSLContext | None, fingerprint: str, max_answer: int) -> Wire:
        """Connect; a wrong certificate is AuthError, and nothing is sent to it."""
        try:
            reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context, limit=4 * CHUNK)
        except ssl.SSLCertVerificationError as error:
            raise AuthError(f"{target.authority}: its certificate is not trusted: {error.verify_message}") from error
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            raise LinkLost(f"{target.authority}: {error or 'no answer'}") from error
        if fingerprint:
            shown = hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b"").hexdigest()
            if shown != digits(fingerprint):
                writer.close()
                raise AuthError(f"{target.authority}: its certificate is another one, fingerprint {shown}")
        return cls(reader, writer, max_answer)

    def usable(self) -> bool:
        """Whether the next request may go over it: nothing came since, and nobody closed it."""
        if self._writer.is_closing() or self._reader.at_eof():
            return False
        # What comes unasked would be taken for the next answer. The buffer has no public name.
        return not getattr(self._reader, "_buffer", b"")

    async def exchange(self, request: h11.Request, body: bytes) -> Answer:
        """Send a request and give its answer. After anything else than an answer the connection is closed."""
        try:
            return await self._exchange(request, body)
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            raise BadFrame(f"no HTTP answer: {error}") from error
        except OSError as error:
            if self.used and not isinstance(error, TimeoutError):
                raise Stale from error
            raise LinkLost(str(error) or "the connection ended") from error
        finally:
            if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
                self._state.start_next_cycle()
                self.used = True
            else:
                self.close()

    async def _exchange(self, request: h11.Request, body: bytes) -> Answer:
        parts: list[Any] = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
        self._writer.write(b"".join(self._state.send(part) or b"" for part in parts))
        await self._writer.drain()
        head: h11.Response | None = None
        came, size = bytearray(), 0
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                await self._more(nothing_yet=head is None)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > self._max_answer:
                    raise BadFrame(f"an answer of more than {self._max_answer} bytes (max_answer)")
                came += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _answer(head, bytes(came))
            elif not isinstance(event, h11.InformationalResponse):
                raise LinkLost("the server closed the connection")

    async def _more(self, *, nothing_yet: bool) -> None:
        data = await self._reader.read(CHUNK)
        if not data and nothing_yet and not self._state.trailing_data[0]:
            if self.used:
                raise Stale
            raise LinkLost("the server closed the connection without an answer")
        self._state.receive_data(data)

    def close(self) -> None:
        """Harmless when repeated."""
        self._writer.close()


def _answer(head: h11.Response, body: bytes) -> Answer:
    pairs = [(name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers]
    return Answer(head.status_code, pairs, body)


def unavailable(what: str, timeout_s: float) -> DeviceUnavailable:
    return DeviceUnavailable(f"{what}: no whole answer in {timeout_s:g} s")
