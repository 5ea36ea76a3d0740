"""An agent that is asked: as many OIDs in a GET as it takes, one bad OID alone, SET, and walks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypeVar

from drivers.snmp.check import address
from drivers.snmp.link import Link
from drivers.snmp.names import name_of
from drivers.snmp.oid import Oid, oid_of, text_of
from drivers.snmp.session import TOO_BIG, Engine, Refused, Session
from drivers.snmp.settings import ChannelSettings
from drivers.snmp.tracing import told
from drivers.snmp.values import NoValue, described, raw_value, to_send
from gateway.driver import Columns, DriverContext, Frame, PollingDriver, Request
from gateway.errors import DeviceUnavailable, LinkLost, PermanentError
from gateway.model import Block, Device, Quality, Tag, Value
from gateway.threads import Threads
from gateway.transform import column

_UP_TIME = oid_of("1.3.6.1.2.1.1.3.0")
_WALKED = "1.3.6.1.2.1"
_AT_ONCE = 20
"""So many objects in a step of a walk."""
_LEARNED = "max_oids"

Answer = TypeVar("Answer")


class _Asked(NamedTuple):
    """What a request needs to be sent and read."""

    oids: tuple[Oid, ...]
    context: str
    converts: tuple[Any, ...]
    """The compiled transform of each tag: they go one by one, as any of them may be without a value."""


class SnmpDriver(PollingDriver):
    """One attempt with one agent."""

    def __init__(self) -> None:
        self._threads = Threads("snmp", at_once=1)
        self._session: Session | None = None
        self._most: int | None = None
        self._listener: Callable[[Frame], None] | None = None
        self._why: dict[str, str] = {}
        self._sent_again = 0

    async def connect(self, ctx: DriverContext) -> None:
        """Open the socket and ask for the up-time: any answer will do. Raises LinkLost, AuthError, PermanentError."""
        self._ctx, settings = ctx, ctx.channel.settings
        self._settings: ChannelSettings = settings
        host, port = address(settings.url)
        timeout_s = ctx.channel.timeout_s
        try:
            engine = await self._threads.call(lambda: Engine.make(settings, timeout_s), timeout_s, lambda: None)
            async with asyncio.timeout(timeout_s):
                self._session = Session(engine, await Link.open(host, port))
            self._listen()
            context = ctx.devices[0].spec.settings.context if ctx.devices else ""
            await self._patiently(lambda session: session.get([_UP_TIME], context))
        except Refused:
            pass  # it is there
        except ValueError as error:
            raise PermanentError(f"{settings.url}: {error}") from error
        except LinkLost as error:
            raise LinkLost(f"{settings.url}: {error}") from error
        except (OSError, DeviceUnavailable) as error:
            hint = ", or it does not know our community" if settings.version == "2c" else ""
            raise LinkLost(f"{settings.url}: {error or 'no answer'}{hint}") from error
        learned = ctx.memory.get(_LEARNED)
        self._most = learned if isinstance(learned, int) and learned > 0 else None

    async def close(self) -> None:
        """End the socket."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def plan(self, device: Device, tags: Sequence[Tag]) -> Sequence[Request]:
        """As few requests as the agent takes."""
        settings: ChannelSettings | None = getattr(self, "_settings", None)
        most = min(self._most or 24, settings.max_oids if settings else 24)
        return [
            _request(device.id, device.spec.settings.context, tags[at : at + most]) for at in range(0, len(tags), most)
        ]

    async def read(self, request: Request) -> Columns:
        """One GET."""
        asked: _Asked = request.detail
        try:
            found = await self._patiently(lambda session: session.get(asked.oids, asked.context))
        except Refused as error:
            if error.code == TOO_BIG and len(asked.oids) > 1:
                self._learn(len(asked.oids) // 2)
            raise
        values: list[Value | None] = []
        codes: list[int] = []
        for tag, convert, value in zip(request.block.tags, asked.converts, found, strict=True):
            engineering, code = self._value(tag, convert, value)
            values.append(engineering)
            codes.append(code)
        return Columns(values, codes if any(codes) else None)

    def split(self, request: Request, error: Exception) -> Sequence[Request]:
        """The OID that is to blame alone; else halves."""
        tags, context = list(request.block.tags), request.detail.context
        if len(tags) < 2:  # noqa: PLR2004 - one cannot be cut
            return []
        at = error.at if isinstance(error, Refused) and error.code != TOO_BIG else -1
        parts = (tags[: len(tags) // 2], tags[len(tags) // 2 :])
        if 0 <= at < len(tags):
            parts = (tags[:at] + tags[at + 1 :], [tags[at]])
        return [_request(request.block.device, context, part) for part in parts]

    async def write(self, device: Device, tag: Tag, value: Value) -> None:
        """One SET, sent once. Raises WriteRejected before anything is sent, RequestRefused when the agent says no."""
        oid, sent = oid_of(tag.spec.source.oid), to_send(tag.spec, value)
        context = device.spec.settings.context
        await self._patiently(lambda session: session.set(oid, sent, context), again=0)

    def describe(self, request: Request) -> Mapping[str, Any]:
        """The request as data."""
        asked: _Asked = request.detail
        return {"pdu": "get", "oids": [text_of(oid) for oid in asked.oids], "context": asked.context}

    def counters(self) -> Mapping[str, int]:
        """Requests that were sent again, and datagrams that were no answer."""
        return {"sent_again": self._sent_again, "dropped": self._session.link.dropped if self._session else 0}

    def trace(self, listener: Callable[[Frame], None] | None) -> None:
        """Tell datagrams from now on, or no longer."""
        self._listener = listener
        self._listen()

    def owns_frame(self, device: Device, frame: Frame) -> bool:
        """The channel is one agent: each frame is its device's."""
        return bool(device.id) and frame.unit < 0

    async def browse(self, options: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Walk a subtree: `at` an OID (default 1.3.6.1.2.1), `depth` numbers below it, `filter` of name or OID."""
        unknown = set(options) - {"at", "depth", "filter"}
        if unknown:
            raise ValueError(f"unknown option {', '.join(sorted(unknown))}: at, depth, filter")
        root = last = oid_of(str(options.get("at") or _WALKED))
        depth, pattern = int(options.get("depth") or 0), str(options.get("filter") or "*")
        context = self._ctx.devices[0].spec.settings.context if self._ctx.devices else ""
        if root[-1] == 0:  # a single object: what follows its parent
            last = root[:-1]
        while True:
            start = last
            found = await self._patiently(lambda session, at=start: session.following(at, _AT_ONCE, context))  # type: ignore[misc]
            for oid, value in found:
                # An agent whose OIDs do not grow would be walked for ever.
                if oid <= last or oid[: len(root)] != root or type(value).__name__ == "EndOfMibView":
                    return
                last = oid
                name, text = name_of(oid), text_of(oid)
                if (depth and len(oid) - len(root) > depth) or not (
                    fnmatchcase(name, pattern) or fnmatchcase(text, pattern)
                ):
                    continue
                kind, tag_type, shown = described(value)
                keys = {"oid": text, "type": tag_type}
                yield {"address": text, "name": name, "path": name, "kind": kind, "type": tag_type,
                       "access": "r", "keys": keys, "value": shown}  # fmt: skip
            if not found:
                return

    async def _patiently(self, ask: Callable[[Session], Awaitable[Answer]], again: int | None = None) -> Answer:
        """The answer within the channel's timeout; what was lost is asked again. Raises DeviceUnavailable, LinkLost."""
        session = self._session
        if session is None:
            raise LinkLost("not connected")
        tries = 1 + (self._settings.resend if again is None else again)
        for number in range(tries):
            try:
                async with asyncio.timeout(self._ctx.channel.timeout_s / tries):
                    self._sent_again += number > 0
                    return await ask(session)
            except TimeoutError:
                continue
        raise DeviceUnavailable(f"no answer within {self._ctx.channel.timeout_s:g} s")

    def _value(self, tag: Tag, convert: Any, found: Any) -> tuple[Value | None, int]:
        try:
            raw = raw_value(tag.spec, found)
        except NoValue as error:
            if self._why.get(tag.path) != str(error):
                self._why[tag.path] = str(error)
                self._ctx.explain(tag, str(error))
            return None, int(Quality.BAD_CONFIG)
        if self._why.pop(tag.path, None) is not None:
            self._ctx.explain(tag, "")
        if convert is None:
            return raw, 0
        values, quality = convert([raw])
        return values[0], int(quality[0]) if quality is not None else 0

    def _learn(self, most: int) -> None:
        """The agent said tooBig: plans are smaller from now on, after a restart, too."""
        if self._most is None or most < self._most:
            self._most = most
            self._ctx.memory.put(_LEARNED, most)

    def _listen(self) -> None:
        if self._session is not None:
            listener, clock = self._listener, self._ctx.clock
            self._session.link.listener = (
                None
                if listener is None
                else lambda sending, data: listener(Frame(clock.wall_ms(), sending, data, told(data), -1))
            )


def _request(device: str, context: str, tags: Sequence[Tag]) -> Request:
    oids = tuple(oid_of(tag.spec.source.oid) for tag in tags)
    converts = tuple(column([tag.spec]) for tag in tags)
    text = f"get {text_of(oids[0])}" + (f" and {len(oids) - 1} more to {text_of(oids[-1])}" if len(oids) > 1 else "")
    return Request(Block(device, tags), _Asked(oids, context, converts), text)
