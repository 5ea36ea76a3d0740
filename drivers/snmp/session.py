"""Requests to one agent and their answers: GET, SET and GETBULK of v2c and v3, by pysnmp's engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from pyasn1.error import PyAsn1Error
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413 import cmdgen
from pysnmp.error import PySnmpError
from pysnmp.proto import errind, rfc1905

from drivers.snmp.link import PEER, Link
from drivers.snmp.oid import Oid
from drivers.snmp.settings import ChannelSettings
from gateway.errors import AuthError, BadFrame, LinkLost, RequestRefused

Bind = tuple[Oid, Any]

_AUTH = {
    "none": config.USM_AUTH_NONE,
    "md5": config.USM_AUTH_HMAC96_MD5,
    "sha": config.USM_AUTH_HMAC96_SHA,
    "sha224": config.USM_AUTH_HMAC128_SHA224,
    "sha256": config.USM_AUTH_HMAC192_SHA256,
    "sha384": config.USM_AUTH_HMAC256_SHA384,
    "sha512": config.USM_AUTH_HMAC384_SHA512,
}
_PRIVACY = {
    "none": config.USM_PRIV_NONE,
    "des": config.USM_PRIV_CBC56_DES,
    "aes": config.USM_PRIV_CFB128_AES,
    "aes192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "aes256": config.USM_PRIV_CFB256_AES_BLUMENTHAL,
    "aes192c": config.USM_PRIV_CFB192_AES,
    "aes256c": config.USM_PRIV_CFB256_AES,
}
_NOT_US = (
    errind.UnknownUserName,
    errind.UnknownSecurityName,
    errind.WrongDigest,
    errind.AuthenticationFailure,
    errind.AuthenticationError,
    errind.UnsupportedSecurityLevel,
    errind.DecryptionError,
    errind.UnknownCommunityName,
)
_NOT_ASKED = (errind.NoSuchContext,)
_OF_THE_ENGINE = (errind.NotInTimeWindow, errind.UnknownEngineID)
_STATUS = {
    1: "tooBig",
    2: "noSuchName",
    3: "badValue",
    4: "readOnly",
    5: "genErr",
    6: "noAccess",
    7: "wrongType",
    8: "wrongLength",
    9: "wrongEncoding",
    10: "wrongValue",
    11: "noCreation",
    12: "inconsistentValue",
    13: "resourceUnavailable",
    14: "commitFailed",
    15: "undoFailed",
    16: "authorizationError",
    17: "notWritable",
    18: "inconsistentName",
}
TOO_BIG = 1
_LATER = (5, 13)
"""genErr and resourceUnavailable: asking again later may help."""
_READS, _WRITES = "reads", "writes"


class Refused(RequestRefused):
    """The agent answered with an error status. `at`: position of the OID that is to blame, from 0; -1: none."""

    def __init__(self, status: int, at: int) -> None:
        super().__init__(
            f"the agent refused: {_STATUS.get(status, f'status {status}')}",
            code=status,
            reason="comm" if status in _LATER else "config",
        )
        self.at = at


class Engine(Struct, frozen=True):
    """The library's engine with our identities in it. Making it takes a tenth of a second: do it in a thread."""

    engine: Any
    writer: str
    """Which identity writes."""

    @classmethod
    def make(cls, settings: ChannelSettings, timeout_s: float) -> Engine:
        """An engine that knows who we are. Raises ValueError for what the library cannot use."""
        try:
            engine = SnmpEngine()
            identities = [_READS]
            if settings.version == "2c":
                # An answer is known by its community: two identities must never share one.
                if settings.write_community not in ("", settings.community):
                    identities.append(_WRITES)
                for name, community in zip(identities, (settings.community, settings.write_community), strict=False):
                    config.add_v1_system(engine, name, community)
                    config.add_target_parameters(engine, name, name, "noAuthNoPriv", 1)
            else:
                config.add_v3_user(
                    engine,
                    settings.user,
                    _AUTH[settings.auth],
                    settings.auth_password or None,
                    _PRIVACY[settings.privacy],
                    settings.privacy_password or None,
                )
                level = "noAuthNoPriv" if settings.auth == "none" else "authPriv"
                level = "authNoPriv" if settings.auth != "none" and settings.privacy == "none" else level
                config.add_target_parameters(engine, _READS, settings.user, level, 3)
            for name in identities:
                config.add_target_address(engine, name, config.SNMP_UDP_DOMAIN, PEER, name, timeout_s * 100, 0)
        except (PySnmpError, PyAsn1Error) as error:
            raise ValueError(str(error)) from error
        return cls(engine, identities[-1])


class Session:
    """A link and an engine; one request at a time."""

    def __init__(self, engine: Engine, link: Link) -> None:
        self._engine, self._writer = engine.engine, engine.writer
        self.link = link
        config.add_transport(self._engine, config.SNMP_UDP_DOMAIN, link)
        self._waiting: asyncio.Future[Any] | None = None
        link.on_lost = self._lost

    def close(self) -> None:
        """End it; again, it is harmless."""
        self._engine.close_dispatcher()
        self.link.close_transport()

    async def get(self, oids: Sequence[Oid], context: str) -> list[Any]:
        """The values of these OIDs, in their order. Raises what `_ask` raises."""
        binds = await self._ask(
            lambda done: cmdgen.GetCommandGenerator().send_varbinds(
                self._engine, _READS, None, context, [(oid, rfc1905.unSpecified) for oid in oids], done
            )
        )
        if [oid for oid, _ in binds] != list(oids):
            raise BadFrame("the answer has other OIDs than the request")
        return [value for _, value in binds]

    async def set(self, oid: Oid, value: Any, context: str) -> None:
        """Write one value."""
        await self._ask(
            lambda done: cmdgen.SetCommandGenerator().send_varbinds(
                self._engine, self._writer, None, context, [(oid, value)], done
            )
        )

    async def following(self, oid: Oid, most: int, context: str) -> list[Bind]:
        """What comes after `oid`, at most so many."""
        return await self._ask(
            lambda done: cmdgen.BulkCommandGeneratorSingleRun().send_varbinds(
                self._engine, _READS, None, context, 0, most, [(oid, rfc1905.unSpecified)], done
            )
        )

    async def _ask(self, send: Callable[[Callable[..., None]], Any]) -> list[Bind]:
        """One exchange, without a time-out. Raises Refused, RequestRefused, AuthError, BadFrame or LinkLost."""
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting = waiting

        def done(_engine: Any, _handle: Any, trouble: Any, status: Any, index: Any, binds: Any, _: Any = None) -> None:
            if not waiting.done():
                waiting.set_result((trouble, int(status), int(index), binds))

        try:
            self._engine.transport_dispatcher.turn()
            send(done)
            trouble, status, index, binds = await waiting
        except (PySnmpError, PyAsn1Error) as error:
            raise BadFrame(str(error)) from error
        except OSError as error:
            raise LinkLost(str(error) or "no answer") from error
        finally:
            self._waiting = None
        if trouble:
            raise _failure(trouble)
        if status:
            raise Refused(status, index - 1)
        return [(tuple(oid), value) for oid, value in binds]

    def _lost(self, error: OSError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def _failure(trouble: Any) -> Exception:
    text = str(trouble)
    if isinstance(trouble, _NOT_US):
        return AuthError(f"the agent refuses user or passwords: {text}")
    if isinstance(trouble, errind.RequestTimedOut):
        return LinkLost(text)
    if isinstance(trouble, _OF_THE_ENGINE):
        return LinkLost(f"the agent's engine is another one or was restarted: {text}")
    if isinstance(trouble, _NOT_ASKED) or "context" in text.lower():
        return RequestRefused(f"the agent refuses the context: {text}")
    return BadFrame(text)
