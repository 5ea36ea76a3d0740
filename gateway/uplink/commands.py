"""Commands that came over the broker: checked, done once per rid, answered (protocol.md 1.3, 1.5)."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from typing import Any

import msgspec

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.uplink.codecs.base import JSON
from gateway.uplink.connection import Connection, Inbound, Outgoing
from gateway.uplink.ports import Identity, OpHandler

MAX_KNOWN = 1000
KNOWN_S = 24 * 3600.0
"""The window in which a rid is known again."""
_LONGEST_S = 60.0

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_REJECTED = frozenset((400, 403, 404, 409, 413, 422, 425, 429))


class CommandMessage(msgspec.Struct, frozen=True):
    """One command. `exp` UTC ms, `ttl` ms from arrival on the boot clock; the earlier of them ends it."""

    v: int
    rid: str
    op: str
    device: str | None = None
    args: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies a default
    exp: int | None = None
    ttl: int | None = None
    origin: str = ""


def parse_command(payload: bytes) -> CommandMessage | None:
    """None for what is not a command of version 1."""
    try:
        command = msgspec.json.decode(payload, type=CommandMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return command if command.v == 1 and _ID.match(command.rid) else None


class Commands:
    """Serves `down/command/{rid}`. A rid that is known is answered with the stored result and has no second effect."""

    def __init__(self, identity: Identity, ops: OpHandler, clock: Clock) -> None:
        self._identity = identity
        self._ops = ops
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, asyncio.Future[dict[str, Any]]]] = OrderedDict()

    async def handle(self, connection: Connection, rid: str, message: Inbound) -> None:
        """Do it, publish the result. Returns when the effect is durable and the answer is at the broker."""
        arrived = self._clock.mono()
        if not _ID.match(rid):
            return  # nowhere to answer
        command = parse_command(message.payload)
        if command is None or command.rid != rid:
            body = _body(400, {"text": "not a command of version 1, or its rid is not the topic's"})
        else:
            body = await self._once(command, arrived)
        await self._answer(connection, rid, body, message)

    async def _once(self, command: CommandMessage, arrived: float) -> dict[str, Any]:
        self._forget_old(arrived)
        known = self._known.get(command.rid)
        if known is not None:
            return await asyncio.shield(known[1])
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._known[command.rid] = (arrived, future)
        try:
            body = await self._execute(command, arrived)
        except BaseException:
            # cancelled on the way: nothing is known of its end, so the same rid must not be told a result
            self._known.pop(command.rid, None)
            future.cancel()
            raise
        future.set_result(body)
        return body

    async def _execute(self, command: CommandMessage, arrived: float) -> dict[str, Any]:
        left, refusal = self._time_left(command, arrived)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(min(left, _LONGEST_S)):
                answer = await self._ops(command.op, command.device, command.args)
        except TimeoutError:
            return _body(504, {"text": "no end within the command's time"})
        except GatewayError as error:
            return _body(int(getattr(error, "code", 500)), {"text": str(error)})
        except Exception as error:
            return _body(500, {"text": f"{type(error).__name__}: {error}"})
        answer = dict(answer)
        return _body(int(answer.pop("code", 200)), answer)

    def _time_left(self, command: CommandMessage, arrived: float) -> tuple[float, dict[str, Any] | None]:
        """Seconds left, or the result that refuses it."""
        left = _LONGEST_S
        if command.ttl is not None:
            left = min(left, command.ttl / 1000.0 - (self._clock.mono() - arrived))
        if command.exp is not None:
            if self._clock.synced():
                left = min(left, (command.exp - self._clock.wall_ms()) / 1000.0)
            elif command.ttl is None:
                return 0.0, _body(425, {"text": "the gateway's clock is not synchronised: give a ttl"})
        return (left, None) if left > 0 else (0.0, _body(408, {"text": "expired"}))

    async def _answer(self, connection: Connection, rid: str, body: dict[str, Any], message: Inbound) -> None:
        payload = msgspec.json.encode({"v": 1, "rid": rid, "ts": self._clock.wall_ms(), **body})
        await connection.publish(Outgoing(f"{self._identity.root}/result/{rid}", payload, JSON))
        topic = message.response_topic
        if topic and not set("+#") & set(topic):
            await connection.publish(Outgoing(topic, payload, JSON, correlation=message.correlation))

    def _forget_old(self, now: float) -> None:
        while self._known:
            rid, (at, future) = next(iter(self._known.items()))
            if not future.done() or (len(self._known) < MAX_KNOWN and now - at < KNOWN_S):
                return
            del self._known[rid]


def _body(code: int, rest: dict[str, Any]) -> dict[str, Any]:
    if code == 200:
        state = "done"
    elif code == 408:
        state = "expired"
    else:
        state = "rejected" if code in _REJECTED else "failed"
    return {"state": state, "code": code, **rest}
