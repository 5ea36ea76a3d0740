"""Whose refused certificates are kept: one address must not fill the folder before a person has looked."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

EACH = 5
"""Certificates of one address that are kept in an hour."""
HOUR_S = 3600.0
_MOST = 256
"""Addresses that are remembered."""

PEER: ContextVar[str] = ContextVar("peer", default="")
"""The address whose message is worked on; each connection has a task of its own."""


class Strangers:
    """Certificates that were refused, by address."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seen: dict[str, dict[bytes, float]] = {}

    def may_keep(self, host: str, certificate: bytes) -> bool:
        """Whether to keep a certificate that an address shows."""
        now = self._now()
        found = {each: at for each, at in self._seen.pop(host, {}).items() if now - at < HOUR_S}
        may = certificate in found or len(found) < EACH
        if may:
            found.setdefault(certificate, now)
        while len(self._seen) >= _MOST:
            self._seen.pop(next(iter(self._seen)))
        self._seen[host] = found  # the addresses that were seen last stay
        return may
