"""From settings to a session: endpoint, certificates, identity. Says in words what is in the way.

asyncua's client is used for its channel and session only. Its supervisor, watchdog and publish loop stay off: the
gateway has one owner of reconnecting, and that is the driver.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.crypto import security_policies, uacrypto
from cryptography.hazmat.primitives import serialization

from drivers.opcua import pki as certificates
from drivers.opcua.bounding import bound
from drivers.opcua.decoding import fault_of
from drivers.opcua.settings import ChannelSettings, Identity, Security
from drivers.opcua.status import words
from gateway.errors import AuthError, LinkLost

APPLICATION = "Fieldpost"
_CHANNEL_MS = 3_600_000
_NO_CHANNEL = 0x80130000  # BadSecurityChecksFailed
_REFUSES_USER = {0x801F0000, 0x80200000, 0x80210000}  # BadUserAccessDenied, BadIdentityTokenInvalid, ...Rejected
_REFUSES_US = {
    0x80120000, 0x80130000, 0x80140000, 0x80150000, 0x80160000, 0x80170000, 0x80180000, 0x80190000, 0x801A0000,
    0x801B0000, 0x801C0000, 0x801D0000, 0x801E0000,
}  # fmt: skip
"""BadCertificateInvalid, BadSecurityChecksFailed, BadCertificateTimeInvalid... BadCertificateIssuerRevoked."""


class Obstacle(AuthError):
    """Something that a person must settle. `issue`: its key; `repair`: what to do."""

    def __init__(self, issue: str, text: str, repair: str) -> None:
        super().__init__(text)
        self.issue = issue
        self.repair = repair


UNTRUSTED, REFUSED, USER, ENDPOINT, FILES = (
    "opcua_server_untrusted",
    "opcua_refuses_us",
    "opcua_refuses_user",
    "opcua_no_such_endpoint",
    "opcua_certificates",
)
OBSTACLES = (UNTRUSTED, REFUSED, USER, ENDPOINT, FILES)


def folder_of(security: Security) -> certificates.Pki:
    return certificates.Pki(Path(security.folder) if security.folder else certificates.default_folder())


def make_client(settings: ChannelSettings, timeout_s: float) -> Client:
    """A client that is not connected. Does no I/O."""
    client = Client(settings.url, timeout=timeout_s)
    client.application_uri = settings.security.application_uri or certificates.default_uri()
    client.product_uri = "urn:fieldpost"
    client.name = client.description = APPLICATION
    client.session_timeout = round(settings.session_timeout * 1000)
    client.secure_channel_timeout = _CHANNEL_MS
    return client


async def endpoints(settings: ChannelSettings, timeout_s: float) -> list[Any]:
    """What the server offers, without a session. Raises LinkLost."""
    client = make_client(settings, timeout_s)
    try:
        return list(await client.connect_and_get_server_endpoints())
    except (OSError, TimeoutError, ua.UaError) as error:
        raise LinkLost(f"{_place(settings)}: {_text(error)}") from error
    finally:
        client.disconnect_socket()


async def secure(client: Client, settings: ChannelSettings, timeout_s: float) -> None:
    """Choose the endpoint, check the server's certificate and load ours. Raises Obstacle, LinkLost."""
    security = settings.security
    offered = await endpoints(settings, timeout_s)
    policy = getattr(security_policies, f"SecurityPolicy{security.policy}")
    mode = ua.MessageSecurityMode[security.mode]
    endpoint = next((e for e in offered if e.SecurityPolicyUri == policy.URI and e.SecurityMode == mode), None)
    if endpoint is None:
        text = f"{_place(settings)} does not offer {security.policy} with {security.mode}; it offers {offers(offered)}"
        raise Obstacle(ENDPOINT, text, "set `security` to one of these")
    pki = folder_of(security)
    try:
        ours, key, client.application_uri = await asyncio.to_thread(_own, pki, security)
        if security.trust == "list":
            await asyncio.to_thread(pki.check, endpoint.ServerCertificate)
    except certificates.NotTrusted as error:
        repair = f"compare the thumbprint with the server's, then move {error.file} to {pki.trusted}"
        if error.reason != "unknown":
            repair = "renew the certificate on the server (look at the clocks of both first), then trust the new one"
        raise Obstacle(UNTRUSTED, f"the server's {error}", repair) from error
    except certificates.PkiError as error:
        raise Obstacle(FILES, str(error), "see security in the channel's file") from error
    server = certificates.first_certificate(endpoint.ServerCertificate)
    await client.set_security(
        policy,
        uacrypto.CertProperties(ours, "der"),
        uacrypto.CertProperties(key, "pem"),
        server_certificate=uacrypto.CertProperties(server.public_bytes(serialization.Encoding.DER), "der"),
        mode=mode,
    )


def _own(pki: certificates.Pki, security: Security) -> tuple[bytes, bytes, str]:
    """Our certificate (DER), its key (PEM) and URI; made and renewed in the folder unless files are named."""
    if security.certificate:
        cert = certificates.load_certificate(Path(security.certificate))
        uri = security.application_uri or certificates.uri_of(cert)
        return cert.public_bytes(serialization.Encoding.DER), certificates.load_key_pem(Path(security.key)), uri
    own = pki.own(security.application_uri, [socket.gethostname()], name=APPLICATION)
    return own.certificate, own.key, own.application_uri


async def identify(client: Client, identity: Identity) -> None:
    """Put the user into the client. Raises Obstacle."""
    if identity.user:
        client.set_user(identity.user)
        client.set_password(identity.password)
        return
    if not identity.certificate:
        return
    try:
        cert = await asyncio.to_thread(certificates.load_certificate, Path(identity.certificate))
        pem = await asyncio.to_thread(certificates.load_key_pem, Path(identity.key))
    except certificates.PkiError as error:
        raise Obstacle(FILES, str(error), "see identity in the channel's file") from error
    client.user_certificate = cert
    client.user_private_key = serialization.load_pem_private_key(pem, None)


async def log_in(client: Client, settings: ChannelSettings) -> None:
    """Channel and session. Raises Obstacle, LinkLost; then nothing is left open."""
    identity = settings.identity
    user = identity.user or None
    try:
        await client.connect_socket()
        bound(client.uaclient.protocol)
        await client.send_hello()
        await open_channel(client)
        await client.create_session()
        await client.activate_session(
            username=user, password=identity.password if user else None, certificate=client.user_certificate
        )
    except (OSError, TimeoutError, ua.UaError, ValueError) as error:
        await give_up(client)
        raise _why(error, settings) from error
    except BaseException:
        client.disconnect_socket()
        raise


async def open_channel(client: Client) -> None:
    """A secure channel. asyncua drops the fault that a server answers instead; here its status is raised."""
    protocol = client.uaclient.protocol
    last: list[bytes] = []
    process = protocol._process_received_message

    def look(message: Any) -> None:
        if isinstance(message, ua.Message):
            last[:] = [bytes(message.body())]
        process(message)

    protocol._process_received_message = look
    try:
        await client.open_secure_channel()
    except AssertionError as error:
        code = fault_of(last[0]) if last else 0
        raise ua.UaStatusCodeError(code or _NO_CHANNEL) from error
    finally:
        del protocol._process_received_message


async def give_up(client: Client) -> bool:
    """End whatever of a session there is, within a second, so that the server does not keep it. Never raises. Returns
    whether the server has agreed.
    """
    client.uaclient.pre_request_hook = None
    ended: bool = client.uaclient.session.authentication_token.is_null()
    try:
        async with asyncio.timeout(1.0):
            if not ended:
                request = ua.CloseSessionRequest()
                request.DeleteSubscriptions = True
                await client.uaclient._send_request(request, 1.0)
                ended = True
            await client.close_secure_channel()
    except (OSError, TimeoutError, ua.UaError):
        pass
    finally:
        client.disconnect_socket()
    return ended


def _why(error: Exception, settings: ChannelSettings) -> Exception:
    code = getattr(error, "code", 0)
    if code in _REFUSES_USER:
        who = settings.identity.user or ("the certificate" if settings.identity.certificate else "an anonymous user")
        return Obstacle(USER, f"the server refuses {who}: {words(code)}", "set `identity` in the channel's file")
    if code in _REFUSES_US:
        own = settings.security.certificate or str(folder_of(settings.security).own_certificate)
        text = f"the server refuses our certificate: {words(code)}"
        return Obstacle(REFUSED, text, f"trust {own} at the server")
    if isinstance(error, ua.UaError) and "No matching endpoints" in str(error):
        text = f"{_place(settings)} offers no connection without security"
        return Obstacle(ENDPOINT, text, "set `security`; `fieldpost scan opcua` shows what is offered")
    return LinkLost(f"{_place(settings)}: {_text(error)}")


def offers(found: Sequence[Any]) -> str:
    """Policies and modes of endpoints, for people."""
    pairs = [f"{policy_name(e.SecurityPolicyUri)} with {e.SecurityMode.name.removesuffix('_')}" for e in found]
    return ", ".join(dict.fromkeys(pairs)) or "nothing"


def policy_name(uri: str) -> str:
    return (uri.rpartition("#")[2] or uri).replace("_", "")


def _place(settings: ChannelSettings) -> str:
    parts = urlsplit(settings.url)
    return f"{parts.hostname}:{parts.port or 4840}"


def _text(error: BaseException) -> str:
    code = getattr(error, "code", None)
    if isinstance(code, int) and words(code):
        return words(code)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


__all__ = [
    "OBSTACLES", "Obstacle", "endpoints", "folder_of", "give_up", "identify", "log_in",
    "make_client", "offers", "open_channel", "policy_name", "secure",
]  # fmt: skip
