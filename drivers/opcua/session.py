"""One session with a server, from log-in to its end: requests, limits, namespaces. A new object for each connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from asyncua import Client, ua
from asyncua.observer import NULL_OBSERVER

from drivers.opcua import limits
from drivers.opcua.connecting import Obstacle, give_up, identify, log_in, make_client, open_channel, secure
from drivers.opcua.decoding import Item, Malformed, Refused, read_answer
from drivers.opcua.refusal import ServerRefused
from drivers.opcua.settings import ChannelSettings
from drivers.opcua.status import is_bad
from drivers.opcua.tracing import MessageTrace
from gateway.clock import Clock
from gateway.driver import Frame
from gateway.errors import DeviceUnavailable, LinkLost

NAMESPACES, START, STATE, PRODUCT = 2255, 2257, 2259, 2261
_LIMITS = {
    11705: limits.READ,
    11707: limits.WRITE,
    11709: limits.CALLS,
    11710: limits.BROWSE,
    11714: limits.ITEMS,
    24104: limits.SUBSCRIPTION,
}
_RENEW_SHARE = 0.75


class Left:
    """What is needed to end a session that was lost with its connection: one client is one session on the server."""

    def __init__(self, token: Any, nonce: Any, started: Any) -> None:
        self.token = token
        self.nonce = nonce
        self.started = started


class Session:
    """`namespaces`: the server's, in its order. `product`: what it calls itself."""

    def __init__(self, settings: ChannelSettings, timeout_s: float) -> None:
        self.settings = settings
        self.timeout_s = timeout_s
        self.bounds = limits.Bounds(settings.limits)
        self.namespaces: list[str] = []
        self.product = ""
        self.started: Any = None
        self.state = 0
        self.heard = 0.0
        """Loop time of the last answer."""
        self.tracer: MessageTrace | None = None
        self.client: Client = make_client(settings, timeout_s)

    async def open(self, left: Left | None = None) -> None:
        """Log in and ask the server what it is. Raises Obstacle, LinkLost."""
        if self.settings.security.policy != "None":
            await secure(self.client, self.settings, self.timeout_s)
        await identify(self.client, self.settings.identity)
        await log_in(self.client, self.settings)
        try:
            await self._ask_server()
            if left is not None and self.started is not None and left.started == self.started:
                await self._end_left(left)
        except (DeviceUnavailable, ServerRefused) as error:
            await self.close()
            raise LinkLost(f"the server does not answer: {error}") from error
        except BaseException:
            self.client.disconnect_socket()
            raise

    async def close(self) -> bool:
        """End the session on the server too, when it can be reached. Never raises. False: the server may keep it."""
        return await give_up(self.client)

    def trace(self, listener: Callable[[Frame], None] | None, clock: Clock) -> None:
        """Show messages from now on; None ends it."""
        self.tracer = None if listener is None else MessageTrace(listener, clock)
        self.client.uaclient.observer = self.tracer or NULL_OBSERVER

    def leave(self) -> Left:
        """What a later session needs to end this one."""
        return Left(self.client.uaclient.session.authentication_token, self.client._server_nonce, self.started)

    async def renew_for_ever(self) -> None:
        """New keys for the channel in time (OPC 10000-4, 5.5.2: at 75 % of its life). Raises LinkLost."""
        while True:
            await asyncio.sleep(self.client.secure_channel_timeout / 1000 * _RENEW_SHARE)
            try:
                await self.client.open_secure_channel(renew=True)
                self.client.uaclient.revolve_security_token()
            except (OSError, TimeoutError, ua.UaError) as error:
                raise LinkLost(f"the channel was not renewed: {error}") from error

    # --- requests

    async def send(self, request: Any, timeout_s: float | None = None) -> bytes:
        """One request; the bytes of its answer. Raises ServerRefused, DeviceUnavailable (none in time), LinkLost."""
        try:
            # asyncua has no public way to the bytes of an answer; its objects cost ten times as much
            answer = await self.client.uaclient._send_request(
                request, self.timeout_s if timeout_s is None else timeout_s
            )
        except ua.UaStatusCodeError as error:
            raise ServerRefused(error.code) from error
        except TimeoutError as error:
            raise DeviceUnavailable("the server does not answer in time") from error
        except (OSError, ua.UaError) as error:
            raise LinkLost(f"the connection is gone: {error}") from error
        self.heard = asyncio.get_running_loop().time()
        return bytes(answer)

    async def call(self, request: Any, answer: type[Any]) -> Any:
        """One request; its answer as asyncua's object. Raises as `send` does."""
        data = await self.send(request)
        try:
            found = ua.ua_binary.struct_from_binary(answer, ua.utils.Buffer(data))
        except Exception as error:  # whatever asyncua trips over in a strange answer
            raise ServerRefused(0x80070000, "the answer cannot be read") from error
        code = found.ResponseHeader.ServiceResult.value
        if is_bad(code):
            raise ServerRefused(code)
        return found

    async def read(self, nodes: Sequence[Any], attribute: int, tell: Item) -> None:
        """One attribute of many nodes, in as many requests as the server wants; told by place in `nodes`."""
        done = 0

        async def piece(part: Sequence[Any]) -> None:
            nonlocal done
            start = done
            request = read_request(part, attribute)
            await self._read(request, len(part), lambda i, k, v, s, t: tell(start + i, k, v, s, t))
            done += len(part)

        await self.bounds.cut(limits.READ, nodes, piece)

    async def values(self, nodes: Sequence[Any], attribute: int = 13) -> list[tuple[int, Any, int]]:
        """The same as a list of (built-in type, value, status)."""
        found: list[tuple[int, Any, int]] = [(0, None, 0)] * len(nodes)

        def tell(place: int, kind: int, value: Any, status: int, _ticks: int) -> None:
            found[place] = (kind, value, status)

        await self.read(nodes, attribute, tell)
        return found

    async def _read(self, request: Any, size: int, tell: Item) -> None:
        data = await self.send(request)
        try:
            count = read_answer(data, tell)
        except Refused as error:
            raise ServerRefused(error.code) from error
        except Malformed as error:
            raise LinkLost(str(error)) from error
        if count != size:
            raise LinkLost(f"{count} values for {size} nodes")

    async def look(self) -> None:
        """Ask for the server's state: whether anybody is there. Raises LinkLost."""
        try:
            ((_, state, _),) = await self.values([ua.NodeId(STATE)])
        except ServerRefused:
            return
        except DeviceUnavailable as error:
            raise LinkLost(str(error)) from error
        self.state = state if isinstance(state, int) else 0

    async def refresh_namespaces(self) -> bool:
        """Whether the server's list of namespaces is another than it was."""
        ((_, found, status),) = await self.values([ua.NodeId(NAMESPACES)])
        if is_bad(status) or not isinstance(found, list) or found == self.namespaces:
            return False
        self.namespaces = [str(uri) for uri in found]
        return True

    async def _ask_server(self) -> None:
        wanted = [NAMESPACES, START, STATE, PRODUCT]
        first = await self.values([ua.NodeId(number) for number in wanted])
        found = {number: value for number, (_, value, status) in zip(wanted, first, strict=True) if not is_bad(status)}
        namespaces = found.get(NAMESPACES)
        if not isinstance(namespaces, list):
            raise LinkLost("the server does not tell its namespaces")
        self.namespaces = [str(uri) for uri in namespaces]
        self.started, self.product = found.get(START), str(found.get(PRODUCT) or "")
        self.state = int(found.get(STATE) or 0)
        with contextlib.suppress(ServerRefused):
            for kind, row in zip(_LIMITS.values(), await self.values([ua.NodeId(n) for n in _LIMITS]), strict=True):
                self.bounds.server_says(kind, row[1])

    async def _end_left(self, left: Left) -> None:
        """End the session that was lost with its connection: the same server still keeps it for its time-out.

        Only where the server has not been started anew since: another server could have given the token to somebody.
        On a connection of its own, because servers tie a session to the one that it came over.
        """
        client = make_client(self.settings, self.timeout_s)
        identity = self.settings.identity
        try:
            if self.settings.security.policy != "None":
                await secure(client, self.settings, self.timeout_s)
            await identify(client, identity)
            await client.connect_socket()
            await client.send_hello()
            await open_channel(client)
            client.uaclient.session.restore_authentication_token(left.token)
            client._server_nonce = left.nonce
            client._policy_ids = self.client._policy_ids
            await client.activate_session(
                username=identity.user or None, password=identity.password or None, certificate=client.user_certificate
            )
        except (OSError, TimeoutError, ua.UaError, LinkLost, Obstacle):
            client.disconnect_socket()  # the server has ended it by itself
        else:
            await give_up(client)


def read_request(nodes: Sequence[Any], attribute: int) -> Any:
    """A ReadRequest for source and server time."""
    request = ua.ReadRequest()
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    for node in nodes:
        item = ua.ReadValueId()
        item.NodeId = node
        item.AttributeId = ua.AttributeIds(attribute)
        request.Parameters.NodesToRead.append(item)
    return request


__all__ = ["Left", "Session", "read_request"]
