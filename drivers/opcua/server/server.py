"""The OPC UA server at work: endpoints, certificate, address space, and what clients write."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from asyncua import Server, ua
from asyncua.common.connection import TransportLimits
from asyncua.crypto import security_policies
from asyncua.crypto.permission_rules import User

from drivers.opcua.pki import NotTrusted, Own, Pki, PkiError, first_certificate, thumbprint
from drivers.opcua.server import logs
from drivers.opcua.server.guard import PlantBinaryServer, PlantInternals, TrustingFactory, connections
from drivers.opcua.server.guesses import Guesses
from drivers.opcua.server.nodes import Nodes
from drivers.opcua.server.settings import ServerSettings
from drivers.opcua.server.strangers import PEER, Strangers
from drivers.opcua.server.users import Users
from drivers.opcua.server.values import write_status, written_value
from gateway.errors import DeviceUnavailable, PermanentError, WriteRejected
from gateway.serving.contract import Client, ServerContext

_MODES = {
    "encrypt": ua.MessageSecurityMode.SignAndEncrypt,
    "sign": ua.MessageSecurityMode.Sign,
    "none": ua.MessageSecurityMode.None_,
}
_SUITES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
_SUFFIX = {"encrypt": "SignAndEncrypt", "sign": "Sign"}
_KEPT_FOR_USERS = 4
"""One of so many connections is kept for users with a name."""
_DAY_S = 86_400.0
_MESSAGE = 4 << 20
"""Bytes of the largest message of a client, in chunks of 64 KiB."""


class OpcUaServer:
    """One attempt of a server."""

    def __init__(self) -> None:
        self._binary: PlantBinaryServer | None = None
        self._nodes: Nodes | None = None

    async def run(self, ctx: ServerContext) -> None:
        handler = logs.listen(ctx.log)
        try:
            await self._run(ctx)
        finally:
            self._binary = None
            logs.leave(handler)

    async def _run(self, ctx: ServerContext) -> None:
        settings: ServerSettings = ctx.settings
        with contextlib.closing(await _bound(ctx.host, ctx.port)) as place:  # before all that takes time and memory
            await self._serve(ctx, settings, place)

    async def _serve(self, ctx: ServerContext, settings: ServerSettings, place: socket.socket) -> None:
        uri = settings.uri or f"urn:fieldpost:{ctx.gateway}:{ctx.name}"
        pki = Pki(ctx.folder / "pki")
        own = await _own(pki, uri, settings, ctx)
        users = Users(settings.users, anonymous=settings.anonymous)
        writer = _Writer(ctx, users)
        iserver = PlantInternals(
            users, writer.write, settings.max_clients, update_ms=float(settings.update), tags=len(ctx.offers)
        )
        iserver.full = _Full(ctx, settings.max_clients)
        guesses = iserver.guesses = _guesses(ctx)
        if settings.users:
            iserver.most_nameless = settings.max_clients - settings.max_clients // _KEPT_FOR_USERS
        server = _Listening(iserver, ctx, pki, settings)
        await server.set_up(uri, own)
        nodes = self._nodes = writer.nodes = Nodes(ctx, iserver)
        await nodes.build()
        await server.listen(place)
        self._binary = server.bserver
        try:
            ctx.listening()
            ctx.task_group.create_task(_renew(ctx, pki, uri, settings))
            while True:
                await nodes.tell(await ctx.changed())
                guesses.forget()
                await ctx.clock.sleep(settings.update / 1000)
        finally:
            with contextlib.suppress(Exception):
                await server.stop()

    def clients(self) -> Sequence[Client]:
        return [Client(f"{user}@{peer}" if user else peer, since) for peer, user, since in connections(self._binary)]

    def map(self) -> Sequence[Mapping[str, Any]]:
        """A row for each tag."""
        return self._nodes.rows() if self._nodes is not None else []


class _Listening(Server):  # type: ignore[misc]
    """The library's server with our connections, and endpoints for trusted clients."""

    def __init__(self, iserver: PlantInternals, ctx: ServerContext, pki: Pki, settings: ServerSettings) -> None:
        super().__init__(iserver)
        self._policies: list[Any] = []
        self._last_refused = ""
        self._unkept = 0
        """Certificates that were not kept, since this server began."""
        self._strangers = Strangers(ctx.clock.mono)
        self._ctx = ctx
        self._pki = pki
        self._settings = settings
        self.limits = TransportLimits(65_535, 65_535, _MESSAGE // 65_535 + 1, _MESSAGE)

    async def set_up(self, uri: str, own: Own) -> None:
        """Everything before the first client."""
        ctx, settings = self._ctx, self._settings
        self.name = f"Fieldpost {ctx.gateway}"
        self.product_uri, self.manufacturer_name = "urn:fieldpost", "Fieldpost"
        self.application_type = ua.ApplicationType.Server
        self._application_uri = uri
        await self.init()
        host = f"[{ctx.host}]" if ":" in ctx.host else ctx.host
        self.set_endpoint(f"opc.tcp://{host}:{ctx.port}{settings.path}")
        self.socket_address = (ctx.host, ctx.port)
        await self.load_certificate(own.certificate, "der")
        await self.load_private_key(own.key, format="pem")
        tokens: list[type] = [ua.UserNameIdentityToken] if settings.users else []
        self.set_identity_tokens([*tokens, ua.AnonymousIdentityToken] if settings.anonymous else tokens)
        names = [f"{suite}_{_SUFFIX[mode]}" for mode in settings.security if mode != "none" for suite in _SUITES]
        plain = ["NoSecurity"] if "none" in settings.security else []
        self.set_security_policy([ua.SecurityPolicyType[name] for name in (*names, *plain)])

    async def listen(self, place: socket.socket) -> None:
        """Take connections."""
        await self._setup_server_nodes()
        self._policies = [self._trusting(policy) for policy in self._policies]
        modes = frozenset(_MODES[mode] for mode in self._settings.security)
        wall_ms = self._ctx.clock.wall_ms
        host, port = self._ctx.host, self._ctx.port
        binary = PlantBinaryServer(self.iserver, host, port, self.limits, modes=modes, wall_ms=wall_ms)
        binary.place = place
        binary.set_policies(self._policies)
        await binary.start()
        self.bserver = binary
        await self.iserver.start()

    def _trusting(self, policy: security_policies.SecurityPolicyFactory) -> TrustingFactory:
        made = TrustingFactory(
            policy.cls, policy.mode, policy.certificate, policy.private_key, policy.permission_ruleset
        )
        made.strangers = self._strangers
        made.pki, made.refused, made.accepted = self._pki, self._refused, self._accepted
        return made

    def _refused(self, error: NotTrusted | PkiError) -> None:
        peer = PEER.get()
        self._ctx.log.warning("a client at %s is refused: %s", peer, error)
        if isinstance(error, NotTrusted):
            self._last_refused = error.thumbprint
            text = f"a client at {peer} was refused: {error}"
            self._ctx.issue("server_untrusted", text, self._repair(error))

    def _repair(self, error: NotTrusted) -> str:
        if error.reason == "expired":
            return "renew it on the client (look at the clocks of both first), then trust the new one"
        if error.reason == "revoked":
            return "give the client a new certificate, or take this one out of the list in `crl`"
        if error.file.exists():
            return f"is it one of ours? then move {error.file.name} from {error.file.parent} to {self._pki.trusted}"
        self._unkept += 1
        return (
            f"{self._unkept} certificates were not kept, for too many came in an hour: find out who sends them, "
            f"empty {error.file.parent} of what is not yours, "
            f"or copy the client's certificate to {self._pki.trusted}"
        )

    def _accepted(self, certificate: bytes) -> None:
        if self._last_refused and thumbprint(first_certificate(certificate)) == self._last_refused:
            self._last_refused = ""
            self._ctx.clear("server_untrusted")


class _Full:
    """An issue while all connections are taken."""

    def __init__(self, ctx: ServerContext, most: int) -> None:
        self._ctx = ctx
        self._most = most
        self._is = False

    def __call__(self, full: bool) -> None:  # noqa: FBT001
        if full == self._is:
            return
        self._is = full
        if full:
            text = f"all {self._most} connections are taken: a client was refused"
            repair = "see who is connected (`fieldpost status`), or raise `max_clients`"
            self._ctx.issue("server_full", text, repair)
        else:
            self._ctx.clear("server_full")


def _guesses(ctx: ServerContext) -> Guesses:
    def tell(text: str) -> None:
        ctx.issue("server_login_refused", text, "correct the password at the client, or find out who tries")

    return Guesses(ctx.log, ctx.clock.mono, tell, lambda: ctx.clear("server_login_refused"))


class _Writer:
    """What clients write, through the gateway's commands; each of them for itself."""

    nodes: Nodes

    def __init__(self, ctx: ServerContext, users: Users) -> None:
        self._ctx = ctx
        self._users = users

    async def write(self, params: ua.WriteParameters, user: User, host: str) -> list[ua.StatusCode]:
        who = f"{user.name}@{host} (opcua {self._ctx.name})"
        # The library ends what it does for a client that is gone; a write that has begun goes on to its end.
        done = self._ctx.task_group.create_task(self._all(params, who, may=self._users.may_write(user)))
        return await asyncio.shield(done)

    async def _all(self, params: ua.WriteParameters, who: str, *, may: bool) -> list[ua.StatusCode]:
        codes = await asyncio.gather(*(self._safely(item, who, may=may) for item in params.NodesToWrite))
        return [ua.StatusCode(code) for code in codes]

    async def _safely(self, item: ua.WriteValue, who: str, *, may: bool) -> int:
        try:
            return await self._one(item, who, may=may)
        except Exception:  # one client's request must not end the server
            self._ctx.log.exception("a write of %s failed", who)
            return int(ua.StatusCodes.BadInternalError)

    async def _one(self, item: ua.WriteValue, who: str, *, may: bool) -> int:
        """The status of one write: Good when the device has the value and it was read back."""
        place = self.nodes.places.get(item.NodeId)
        if place is None:
            known = self.nodes.knows(item.NodeId)
            return int(ua.StatusCodes.BadNotWritable if known else ua.StatusCodes.BadNodeIdUnknown)
        offer = self._ctx.offers[place]
        if item.AttributeId != ua.AttributeIds.Value or not offer.writable:
            return int(ua.StatusCodes.BadNotWritable)
        if item.IndexRange or (item.Value.StatusCode is not None and not item.Value.StatusCode.is_good()):
            return int(ua.StatusCodes.BadWriteNotSupported)
        if not may:
            return int(ua.StatusCodes.BadUserAccessDenied)
        try:
            value = written_value(offer, item.Value)
        except WriteRejected as error:
            return int(ua.StatusCodes.BadOutOfRange if error.code == 422 else ua.StatusCodes.BadTypeMismatch)
        (result,) = await self._ctx.write({place: value}, who)
        return write_status(result)


async def _bound(host: str, port: int) -> socket.socket:
    """A socket at its address, not listening yet. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


async def _own(pki: Pki, uri: str, settings: ServerSettings, ctx: ServerContext) -> Own:
    """Our certificate. Raises PermanentError when its files cannot be used."""
    hosts = [socket.gethostname(), *settings.hosts]
    if ctx.host not in {"0.0.0.0", "::", ""}:  # noqa: S104 - not bound here
        hosts.append(ctx.host)
    try:
        return await asyncio.to_thread(pki.own, uri, hosts)
    except PkiError as error:
        raise PermanentError(str(error)) from error


async def _renew(ctx: ServerContext, pki: Pki, uri: str, settings: ServerSettings) -> None:
    """Once a day: a certificate that was made anew is served after a restart of this server."""
    while True:
        await ctx.clock.sleep(_DAY_S)
        if (await _own(pki, uri, settings, ctx)).renewed:
            raise DeviceUnavailable("its certificate was renewed: it starts again with the new one")
