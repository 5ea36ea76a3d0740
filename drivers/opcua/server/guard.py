"""What the library leaves open for whoever reaches the port, closed.

The library (asyncua 2.1) asks for a client's certificate only where the client sends one, lets everybody log in over a
channel without security that is meant for discovery, hands sessions on by numbers that can be guessed, takes
registrations of servers from anybody, keeps bytes that are no frame for ever, and writes to a client that does not read
without end. Each of these has a test.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.security_policies import SecurityPolicyFactory
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession, SessionState
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary

from drivers.opcua.pki import NotTrusted, Pki, PkiError, first_certificate, uri_of
from drivers.opcua.server import limits, standard
from drivers.opcua.server.guesses import Guesses
from drivers.opcua.server.session import PlantSession, Write
from drivers.opcua.server.strangers import PEER, Strangers
from drivers.opcua.server.subscriptions import PlantSubscriptions

UNUSED_S = 30.0
"""A session that nobody has activated in this time is dropped."""
_KINDS = (b"HEL", b"OPN", b"MSG", b"CLO")
_HEAD = 8
_LONGEST_FRAME = 65_535
"""The receive buffer that clients are told: OPC 10000-6, 7.1.2.3."""
_MOST_WAITING = 1 << 20
_STUCK_S = 10.0
"""A client that takes none of its answers for so long is cut off."""
_ITEMS = 10_000
"""Monitored items of the server, at least; a session has half of them at most."""
_GUESS_S = 1.0
"""How long a wrong password waits for its answer: who guesses has as many connections as there may be, and no more."""
_HELLO_S = 3.0
_CHANNEL_S = 6.0
_SESSION_S = 20.0
"""Seconds after a connection was made in which a client has said HELLO, opened a channel, activated a session."""
_CREATE = ua.NodeId(ua.ObjectIds.CreateSessionRequest_Encoding_DefaultBinary)
_ACTIVATE = ua.NodeId(ua.ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary)

_WRONG = {ua.StatusCodes.BadUserAccessDenied, ua.StatusCodes.BadIdentityTokenInvalid}

_log = logging.getLogger("asyncua.server.guard")  # one line a minute, with the library's own (logs.py)


class Untrusted(ua.uaerrors.BadRequestTooLarge):  # type: ignore[misc]
    """A client whose certificate is not trusted. The library ends a connection with an error message for this class of
    error only; the code is its own.
    """

    code = ua.StatusCodes.BadSecurityChecksFailed


class TrustingFactory(SecurityPolicyFactory):  # type: ignore[misc]
    """Makes the security of a channel, for trusted certificates only."""

    pki: Pki
    refused: Callable[[NotTrusted | PkiError], None]
    accepted: Callable[[bytes], None]
    strangers: Strangers

    def create(self, peer_certificate: bytes | None) -> Any:
        """Raises Untrusted."""
        if self.mode is not ua.MessageSecurityMode.None_:
            try:
                keep = self.strangers.may_keep(PEER.get(), peer_certificate or b"")
                self.pki.check(peer_certificate or b"", keep=keep)
            except PkiError as error:
                self.refused(error)
                raise Untrusted from error
            self.accepted(peer_certificate or b"")
        return super().create(peer_certificate)


class PlantInternals(InternalServer):  # type: ignore[misc]
    """The library's server with our sessions. `write` does what clients write."""

    def __init__(
        self, user_manager: Any, write: Write, max_clients: int, *, update_ms: float = 100.0, tags: int = 0
    ) -> None:
        """`update_ms`: in which changes are gathered; `tags`: that are offered."""
        super().__init__(user_manager)
        self.turns = limits.Turns()
        most = max(_ITEMS, 4 * tags)
        service = PlantSubscriptions(self.aspace, self, shortest_ms=update_ms, most_items=most)
        self.subscription_service = self.isession.subscription_service = service
        self.time_task: asyncio.Task[None] | None = None
        self._write = write
        self._most_sessions = 2 * max_clients
        self.max_connections = max_clients
        self.max_pending_activation_seconds = _SESSION_S
        self.most_nameless = max_clients
        """Sessions of clients without a name."""
        self.guesses: Guesses | None = None
        self.full: Callable[[bool], None] = lambda _full: None
        """Told when a connection is refused for want of room, and when there is room again."""
        self.max_pending_messages_per_connection = 100
        self.max_subscriptions = 10 * max_clients
        self.max_monitored_item_queue_size = limits.QUEUE
        self.max_unacked_messages_per_subscription = 100
        self.allow_remote_admin = False

    def create_session(
        self,
        name: str,
        user: User | None = None,
        external: bool = False,  # noqa: FBT001, FBT002 - the library's form
    ) -> InternalSession:
        """Raises ServiceError when there are too many."""
        now = time.monotonic()
        for session in list(self._external_sessions.values()):
            if session.state is SessionState.Created and now - session.made > UNUSED_S:
                self.unregister_external_session(session)
        if external and len(self._external_sessions) >= self._most_sessions:
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        of = user or User(role=UserRole.Anonymous)
        session = PlantSession(self, self.aspace, self.subscription_service, name, user=of, external=external)
        session.done = self._write if external else None
        return session

    def nameless(self) -> int:
        """Sessions in use by clients without a name."""
        return sum(each.is_activated() and each.user.name is None for each in self._external_sessions.values())

    def session_of(self, session_id: ua.NodeId) -> PlantSession | None:
        """A client's session by its id."""
        found = (each for each in self._external_sessions.values() if each.session_id == session_id)
        return next(found, None)

    async def setup_nodes(self) -> None:
        """The library's, with our limits."""
        await super().setup_nodes()
        for name, most in limits.ANNOUNCED.items():
            number = getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")
            value = ua.DataValue(ua.Variant(most, ua.VariantType.UInt32))
            await self.aspace.write_attribute_value(ua.NodeId(number), ua.AttributeIds.Value, value)
        points = ua.NodeId(ua.ObjectIds.Server_ServerCapabilities_MaxBrowseContinuationPoints)
        value = ua.DataValue(ua.Variant(limits.POINTS, ua.VariantType.UInt16))
        await self.aspace.write_attribute_value(points, ua.AttributeIds.Value, value)

    async def load_standard_address_space(self, shelf_file: Any = None) -> None:  # noqa: ARG002 - the library's form
        """The part of it that is needed, see standard.py."""
        await asyncio.to_thread(standard.fill, self.node_mgt_service)

    async def stop(self) -> None:
        """The library waits for its clock's next second."""
        if self.time_task is not None:
            self.time_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.time_task
            self.time_task = None
        await super().stop()

    def register_server(self, server: Any, conf: Any = None) -> None:  # noqa: ARG002 - the library's form
        """Nobody registers here: this is no discovery server."""
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)


class PlantProcessor(UaProcessor):  # type: ignore[misc]
    """The library's services, on the channels that were offered."""

    modes: frozenset[ua.MessageSecurityMode] = frozenset()
    greeted = False
    session: Any

    @property
    def has_channel(self) -> bool:
        return bool(self._connection.is_open())

    @property
    def has_session(self) -> bool:
        return self.session is not None and bool(self.session.is_activated())

    async def process(self, header: Any, body: Any) -> Any:
        PEER.set(str(self.name[0]))
        if header.MessageType == ua.MessageType.Hello:
            self.greeted = True
        return await super().process(header, body)

    async def _process_message(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Any) -> Any:
        policy = self._connection.security_policy
        if typeid in (_CREATE, _ACTIVATE) and policy.Mode not in self.modes:
            raise ServiceError(ua.StatusCodes.BadSecurityModeRejected)
        if typeid == _ACTIVATE and self.session is None:
            known = self.iserver.lookup_external_session(requesthdr.AuthenticationToken)
            if known is not None and known.peer_certificate != policy.peer_certificate:
                raise ServiceError(ua.StatusCodes.BadSecurityChecksFailed)
        items = limits.count(typeid, body)
        if typeid == _CREATE:
            await self._may_create(struct_from_binary(ua.CreateSessionParameters, body.copy()))
        user = _user_of(struct_from_binary(ua.ActivateSessionParameters, body.copy())) if typeid == _ACTIVATE else ""
        await self._wait_for(user)
        try:
            if items > limits.LIGHT and typeid in limits.HEAVY:
                async with self.iserver.turns.turn():
                    done = await self._serve(typeid, requesthdr, seqhdr, body)
            else:
                done = await self._serve(typeid, requesthdr, seqhdr, body)
        except ServiceError as error:
            if typeid == _ACTIVATE and error.code in _WRONG:
                if self.iserver.guesses is not None:
                    self.iserver.guesses.refused(user, str(self.name[0]))
                await _guessed(_GUESS_S)
            raise
        if user and self.iserver.guesses is not None:
            self.iserver.guesses.passed(user, str(self.name[0]))
        if typeid == _CREATE and isinstance(self.session, PlantSession):
            self.session.peer_certificate = policy.peer_certificate
        return done

    async def _may_create(self, params: ua.CreateSessionParameters) -> None:
        """One session for each connection. Raises ServiceError, also when the client's certificate is for another
        application than it says it is (OPC 10000-4, 6.1.3).
        """
        certificate = self._connection.security_policy.peer_certificate
        if certificate:
            uri, said = uri_of(first_certificate(certificate)), params.ClientDescription.ApplicationUri or ""
            if uri != said:
                _log.error("%s calls itself %r, its certificate is for %r", self.name[0], said[:256], uri)
                raise ServiceError(ua.StatusCodes.BadCertificateUriInvalid)
        if self.has_session:
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        if self.session is not None:
            await self.session.close_session()
            self.session = None

    async def _wait_for(self, user: str) -> None:
        """Whoever guessed wrong before waits, however many connections he has."""
        guesses = self.iserver.guesses
        while user and guesses is not None and (wait := guesses.wait_s(user, str(self.name[0]))) > 0:
            await _guessed(wait)

    async def _serve(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Any) -> Any:
        if typeid != limits.BROWSE_NEXT:  # the library has none
            return await super()._process_message(typeid, requesthdr, seqhdr, body)
        if self.session is None or not self.session.is_activated():
            raise ServiceError(ua.StatusCodes.BadSessionIdInvalid)
        self.session_last_activity = time.monotonic()
        self.session.touch()
        response = ua.BrowseNextResponse()
        response.Parameters.Results = await self.session.browse_next(struct_from_binary(ua.BrowseNextParameters, body))
        self.send_response(requesthdr.RequestHandle, seqhdr, response)
        return True


class PlantProtocol(OPCUAProtocol):  # type: ignore[misc]
    """A connection with bounds on what it keeps."""

    modes: frozenset[ua.MessageSecurityMode]
    processor: Any
    since = 0
    _stuck: asyncio.TimerHandle | None = None
    _steps: tuple[asyncio.TimerHandle, ...] = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        has_room = len(self.clients) < self.iserver.max_connections or self._push_out()
        self.iserver.full(not has_room)
        super().connection_made(transport)
        if self.transport is None or self.processor is None:  # refused: too many
            return
        loop = asyncio.get_running_loop()
        self._steps = (
            loop.call_later(_HELLO_S, lambda: self._end_unless(self.processor.greeted)),
            loop.call_later(_CHANNEL_S, lambda: self._end_unless(self.processor.has_channel)),
        )
        self.transport.set_write_buffer_limits(high=_MOST_WAITING)
        processor = PlantProcessor(self.iserver, self.transport, self.limits)
        processor.set_policies(self.policies)
        processor.modes = self.modes
        self.processor = processor

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        rest = self._buffer
        if len(rest) >= _HEAD:
            size = int.from_bytes(rest[4:8], "little")
            if rest[:3] not in _KINDS or rest[3:4] not in (b"F", b"C", b"A") or not _HEAD <= size <= _LONGEST_FRAME:
                self._end()
        elif rest and not any(kind.startswith(rest[:3]) or rest.startswith(kind) for kind in _KINDS):
            self._end()

    async def _process_one_msg(self, header: Any, buf: Any) -> bool:
        """A message that cannot be taken apart ends the connection: what comes behind it means nothing."""
        try:
            done = bool(await super()._process_one_msg(header, buf))
        except Exception as error:
            _log.error("a message of %s is refused: %r", self.peer_name, error)
            self._end()
            return False
        await asyncio.sleep(0)  # requests that came together are a turn each
        return done

    def pause_writing(self) -> None:
        """The client does not read: nothing more is taken from it, and it has a while to catch up."""
        if self.transport is not None:
            self.transport.pause_reading()
        self._stuck = asyncio.get_running_loop().call_later(_STUCK_S, self._end)

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, ex: BaseException | None) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
        for step in self._steps:
            step.cancel()
        super().connection_lost(ex)

    @property
    def host(self) -> str:
        return str(self.peer_name[0]) if self.peer_name else ""

    def _push_out(self) -> bool:
        """End the oldest connection without a session, of the address that has most of them. Whether there was one."""
        idle = [each for each in self.clients if isinstance(each, PlantProtocol) and not each.processor.has_session]
        if not idle:
            return False
        many = Counter(each.host for each in idle)
        oldest = max(idle, key=lambda each: many[each.host])  # the first of several, in the order they came
        self.clients.remove(oldest)
        oldest._end()
        return True

    def _end_unless(self, done: bool) -> None:  # noqa: FBT001
        if not done:
            self._end()

    def _end(self) -> None:
        self._buffer = b""
        if self.transport is not None:
            self.transport.abort()


class PlantBinaryServer(BinaryServer):  # type: ignore[misc]
    """Listens at `place`, and makes a connection of ours for each client."""

    place: socket.socket

    def __init__(self, *args: Any, modes: frozenset[ua.MessageSecurityMode], wall_ms: Callable[[], int]) -> None:
        super().__init__(*args)
        self._modes = modes
        self._wall_ms = wall_ms

    async def start(self) -> None:
        """As the library does, at a place that was taken before."""
        self._server = await asyncio.get_running_loop().create_server(self._make_protocol, sock=self.place)
        self.cleanup_task = asyncio.create_task(self._close_task_loop())

    def _make_protocol(self) -> OPCUAProtocol:
        made = PlantProtocol(self.iserver, self._policies, self.clients, self.closing_tasks, self.limits)
        made.modes, made.since = self._modes, self._wall_ms()
        return made


def _user_of(params: ua.ActivateSessionParameters) -> str:
    """Who a client says it is; empty without a name."""
    token = params.UserIdentityToken
    return str(token.UserName or "")[:64] if isinstance(token, ua.UserNameIdentityToken) else ""


async def _guessed(seconds: float) -> None:
    await asyncio.sleep(seconds)


def connections(server: BinaryServer | None) -> Sequence[tuple[str, str, int]]:
    """Who is connected: host and port, user (empty while not logged in), since."""
    found = []
    for client in [] if server is None else server.clients:
        session = client.processor.session if client.processor is not None else None
        user = session.user.name if session is not None and session.is_activated() else None
        peer = client.peer_name
        found.append((f"{peer[0]}:{peer[1]}" if peer else "", user or "", getattr(client, "since", 0)))
    return found
