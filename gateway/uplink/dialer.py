"""From a list of broker addresses to a connection: fail-over, MQTT level, server references, and why it failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.mqttclient.address import parse_address, referred
from gateway.mqttclient.connection import (
    MQTT_5,
    MQTT_311,
    UNKNOWN_LEVEL,
    ConnectFailed,
    Connection,
    ConnectOptions,
    Outgoing,
)
from gateway.settings.types import UplinkSettings
from gateway.uplink.memory import Memory

Connect = Callable[[str, ConnectOptions], Awaitable[Connection]]

REFUSING = frozenset((0x85, 0x86, 0x87, 0x8A))
"""CONNACK codes that a person has to mend: retried slowly."""
OVERLOADED = frozenset((0x96, 0x97, 0x9F))
"""Message rate, quota or connection rate exceeded: halve our rates."""
_ELSEWHERE = frozenset((0x9C, 0x9D))
_MAX_HOPS = 3
_CLOSED_BEFORE_FALLBACK = 3
_REMEMBER_MS = 24 * 3600 * 1000
_LEVEL = "level"
_CONNACK_S = (3.0, 10.0)
"""Wait for CONNACK: a broker that is known to be near is not waited for long, so that a healed line is used soon."""

_CAUSES = {
    0x81: "the broker found a malformed packet",
    0x82: "the broker sees a protocol error",
    0x84: "the broker does not know this MQTT version",
    0x85: "the broker does not accept the client id; set `client_id`",
    0x86: "user name or password is wrong",
    0x87: "this user or certificate may not connect; look at the broker's access list",
    0x88: "the broker says that it is not available",
    0x89: "the broker is busy",
    0x8A: "the broker has banned this client",
    0x8C: "the broker wants another authentication method",
    0x95: "the broker finds the CONNECT packet too large",
    0x97: "a quota of the broker is used up",
    0x9F: "the broker limits the rate of connections",
}


class DialFailed(GatewayError):
    """No address gave a connection. `refused`: every address refused our identity. `overloaded`: slow down."""

    def __init__(self, text: str, *, refused: bool, overloaded: bool) -> None:
        super().__init__(text)
        self.refused = refused
        self.overloaded = overloaded


class Dialer:
    """Walks `urls` in order at each attempt."""

    def __init__(self, settings: UplinkSettings, memory: Memory, clock: Clock, connect: Connect) -> None:
        self._settings = settings
        self._memory = memory
        self._clock = clock
        self._connect = connect
        self._took: dict[str, float] = {}
        self._closed_early: dict[str, int] = {}
        self._spoke_5: set[str] = set()

    async def dial(self, will: Outgoing | None) -> Connection:
        """One attempt over all addresses. Raises DialFailed with every cause."""
        failures: list[ConnectFailed] = []
        for url in self._settings.urls:
            try:
                return await self._follow(url, will)
            except ConnectFailed as failed:
                failures.append(failed)
        codes = [failed.code for failed in failures]
        raise DialFailed(
            "; ".join(explain(failed) for failed in failures),
            refused=all(code in REFUSING for code in codes),
            overloaded=any(code in OVERLOADED for code in codes),
        )

    async def _follow(self, url: str, will: Outgoing | None) -> Connection:
        """Connect, following server references."""
        for hop in range(_MAX_HOPS + 1):
            try:
                return await self._at_level(url, will)
            except ConnectFailed as failed:
                target = referred(parse_address(url), failed.reference) if failed.reference else None
                if failed.code not in _ELSEWHERE or target is None or hop == _MAX_HOPS:
                    raise
                url = str(target)
        raise AssertionError("unreachable")

    async def _at_level(self, url: str, will: Outgoing | None) -> Connection:
        """Connect with MQTT 5, or with 3.1.1 where that is remembered or turns out to be needed."""
        level = self._remembered(url)
        try:
            connection = await self._once(url, level, will)
        except ConnectFailed as failed:
            if level == MQTT_311 or not self._suggests_older(url, failed):
                raise
            connection = await self._once(url, MQTT_311, will)
            await self._remember(url)
        self._closed_early.pop(url, None)
        return connection

    def _suggests_older(self, url: str, failed: ConnectFailed) -> bool:
        if failed.code == UNKNOWN_LEVEL:
            return True
        if not (failed.closed or failed.silent) or url in self._spoke_5:  # else it is away, not old
            return False
        self._closed_early[url] = self._closed_early.get(url, 0) + 1
        return self._closed_early[url] % _CLOSED_BEFORE_FALLBACK == 0

    async def _once(self, url: str, level: int, will: Outgoing | None) -> Connection:
        low, high = _CONNACK_S
        began = self._clock.mono()
        options = ConnectOptions(
            self._settings.client_id,
            self._settings.username,
            self._settings.password,
            self._settings.tls,
            self._settings.keepalive_s,
            connack_s=min(high, max(low, 20.0 * self._took.get(url, high))),
            level=level,
            will=will,
            window=self._settings.window,
            ack_s=self._settings.ack_timeout_s,
        )
        connection = await self._connect(url, options)
        self._took[url] = self._clock.mono() - began
        if level == MQTT_5:
            self._spoke_5.add(url)
        return connection

    def _remembered(self, url: str) -> int:
        level, until = (self._memory.get(_LEVEL) or {}).get(url, (MQTT_5, 0))
        return int(level) if self._clock.wall_ms() < until else MQTT_5

    async def _remember(self, url: str) -> None:
        known = dict(self._memory.get(_LEVEL) or {})
        known[url] = [MQTT_311, self._clock.wall_ms() + _REMEMBER_MS]
        await self._memory.set(_LEVEL, known)


def explain(failed: ConnectFailed) -> str:
    """What went wrong, with its likely causes, for a person."""
    text = str(failed)
    if failed.code is not None:
        return f"{text}: {_CAUSES.get(failed.code, 'the broker refused the connection')} (0x{failed.code:02x})"
    lower = text.lower()
    secure = text.startswith(("mqtts:", "wss:"))
    if "certificate_verify_failed" in lower:
        return f"{text}: the broker's certificate is not signed by `tls.ca`, has expired, or names another host"
    if "certificate_required" in lower or (secure and failed.closed):
        return f"{text}: the broker may want a client certificate (`tls.cert`, `tls.key`), or does not trust ours"
    if "wrong_version_number" in lower:
        return f"{text}: this port does not speak TLS; use mqtt:// or another port"
    if failed.closed:
        return f"{text}: the port may want TLS (mqtts://), or is not an MQTT broker"
    if "refused" in lower:
        return f"{text}: nothing listens on this port"
    if "name or service" in lower or "resolution" in lower:
        return f"{text}: the host name is not known; look at DNS and the network"
    if "timed out" in lower:
        return f"{text}: no answer; look at the network, a firewall, or whether the port wants TLS"
    return text
