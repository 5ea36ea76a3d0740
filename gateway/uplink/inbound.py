"""What comes down: commands and consumer acks. Each message is confirmed after its effect is durable, in order of
arrival (MQTT asks for that order); commands run side by side, at most as many as our Receive Maximum.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct, structs

from gateway.clock import Clock
from gateway.health import Health
from gateway.mqttclient.connection import REFUSED, Connection, ConnectionLost, Inbound
from gateway.uplink.codecs.base import inflate
from gateway.uplink.ports import Identity

Handler = Callable[[Connection, str, Inbound], Awaitable[None]]
"""Called with the connection, the topic below the root, and the message (payload plain)."""

_AT_ONCE = 16
_ENDS = 2
_TRY_AGAIN_S = 6 * 3600.0


class Beside(Struct, frozen=True):
    """Topics that are not below our root: what is subscribed to, how all of them begin, and who is told the rest.

    `admit` gives, without waiting, the message that is handled, or None, and has a bound: what is admitted is handled
    beside everything else, so that many messages of one kind do not keep others from being heard. `leave` is called
    with the topic when an admitted message is done, or given up.
    """

    filters: Sequence[str]
    prefix: str
    admit: Callable[[str, Inbound], Inbound | None]
    leave: Callable[[str], None]
    handler: Handler


class Dispensable:
    """A filter that is left out where a broker hangs up on it instead of refusing it: what always came must go on.

    `below`: the filter, below the root. After two connections that ended between subscription and answer it is left
    out; later it is tried again.
    """

    def __init__(self, below: str, clock: Clock) -> None:
        self.below = below
        self._clock = clock
        self._ends = 0
        self._again_at = float("-inf")

    @property
    def wanted(self) -> bool:
        return self._ends < _ENDS or self._clock.mono() >= self._again_at

    def hung_up(self) -> None:
        """A connection ended with the subscription unanswered."""
        if self.wanted:
            self._ends += 1
            self._again_at = self._clock.mono() + _TRY_AGAIN_S

    def answered(self) -> None:
        """A subscription with it was answered."""
        self._ends = 0


class _Pending(Struct):
    message: Inbound
    handled: bool = False


class Downlink:
    """The receiving side of one uplink."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        health: Health,
        handler: Handler,
        filters: Sequence[str] = ("down/#",),
        beside: Beside | None = None,
        dispensable: Dispensable | None = None,
    ) -> None:
        """`filters`: what is subscribed to, below the root."""
        self._dispensable = dispensable
        self._filters = [f"{identity.root}/{each}" for each in filters] + list(beside.filters if beside else ())
        self._beside = beside
        self._name = name
        self._identity = identity
        self._health = health
        self._handler = handler
        self.ignored = 0

    async def subscribe(self, connection: Connection) -> None:
        """Ask for what comes down. A broker that does not answer or refuses is an issue; delivery goes on (FL-8)."""
        extra = self._dispensable
        asked = extra is not None and extra.wanted
        filters = [*self._filters, *([f"{self._identity.root}/{extra.below}"] if extra is not None and asked else [])]
        codes = None
        try:
            codes = await connection.subscribe(filters)
        except ConnectionLost as lost:
            if not connection.closed.done():
                self._tell(f"the broker did not answer the subscription ({lost})")
            return
        finally:  # whoever notices first that the connection is gone cancels the others
            if extra is not None and asked and codes is not None:
                extra.answered()
            elif extra is not None and connection.closed.done():
                extra.hung_up()
        refused = {name: code for name, code in zip(filters, codes, strict=False) if code >= REFUSED}
        if refused:
            named = ", ".join(f"{name} (0x{code:02x})" for name, code in refused.items())
            self._tell(f"the broker refuses the subscription to {named}", list(refused))
        elif extra is not None and not asked:
            self._tell(f"the broker hung up twice on the subscription to {extra.below}", [extra.below])
        else:
            self._health.clear("uplink_subscribe", self._name)

    async def run(self, connection: Connection) -> None:
        """Serve until the connection is lost. Raises ConnectionLost."""
        pending: deque[_Pending] = deque()
        slots = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                message = await connection.receive()
                if self._beside is not None and message.topic.startswith(self._beside.prefix):
                    self._aside(connection, self._beside, message, pending, group)
                    continue
                await slots.acquire()
                pending.append(_Pending(message))
                task = group.create_task(self._handle(connection, pending[-1], pending, self._dispatch))
                task.add_done_callback(lambda _: slots.release())

    def _aside(
        self,
        connection: Connection,
        beside: Beside,
        message: Inbound,
        pending: deque[_Pending],
        group: asyncio.TaskGroup,
    ) -> None:
        """Handle a message that is not below our root, or drop it. A dropped one is confirmed when its turn comes."""
        rest = message.topic[len(beside.prefix) :]
        admitted = beside.admit(rest, message)
        if admitted is None:
            if message.qos:
                pending.append(_Pending(structs.replace(message, payload=b""), handled=True))
                self._confirm(connection, pending)
            return

        def handler(connection: Connection, message: Inbound) -> Awaitable[None]:
            return beside.handler(connection, rest, message)

        pending.append(_Pending(admitted))
        task = group.create_task(self._handle(connection, pending[-1], pending, handler))
        task.add_done_callback(lambda _: beside.leave(rest))  # one that is cancelled before it began ends here too

    async def _handle(
        self,
        connection: Connection,
        item: _Pending,
        pending: deque[_Pending],
        handler: Callable[[Connection, Inbound], Awaitable[None]],
    ) -> None:
        try:
            await handler(connection, item.message)
        except ConnectionLost:
            return  # not confirmed: the broker gives it again on the next connection
        item.handled = True
        self._confirm(connection, pending)

    @staticmethod
    def _confirm(connection: Connection, pending: deque[_Pending]) -> None:
        while pending and pending[0].handled:
            connection.confirm(pending.popleft().message)

    async def _dispatch(self, connection: Connection, message: Inbound) -> None:
        prefix = f"{self._identity.root}/"
        if not message.topic.startswith(prefix):
            self.ignored += 1
            return
        if message.payload[:1] == b"\x78" or message.encoding == "zlib":
            plain = inflate(message.payload)
            if plain is None:
                self.ignored += 1
                return
            message = Inbound(
                message.topic,
                plain,
                message.retain,
                message.qos,
                message.ticket,
                None,
                message.response_topic,
                message.correlation,
            )
        await self._handler(connection, message.topic[len(prefix) :], message)

    def _tell(self, text: str, refused: Sequence[str] = ()) -> None:
        """`refused`: only these; else nothing comes down."""
        extra = self._dispensable
        only_extra = extra is not None and bool(refused) and all(name.endswith(extra.below) for name in refused)
        what = "jobs do not arrive; commands do" if only_extra else "commands or desired states do not arrive"
        filters = [*self._filters, *([f"{self._identity.root}/{extra.below}"] if extra is not None else [])]
        self._health.set(
            "uplink_subscribe",
            self._name,
            f"{text}: {what}; readings are delivered",
            f"allow this gateway's user to subscribe to {', '.join(filters)}",
        )
