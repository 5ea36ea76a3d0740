"""How much one request may hold: what the server says, what a person says, what a refusal taught."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from drivers.opcua.refusal import ServerRefused
from drivers.opcua.settings import Limits

T = TypeVar("T")

READ, WRITE, BROWSE, ITEMS, SUBSCRIPTION, CALLS = "read", "write", "browse", "items", "subscription", "calls"
ALL = (READ, WRITE, BROWSE, ITEMS, SUBSCRIPTION, CALLS)

_PROFILES = {
    "auto": (1000, 1000, 500, 1000, 10_000, 100),
    "small": (100, 20, 50, 100, 1000, 10),
    "tiny": (20, 1, 10, 20, 100, 1),
}
TOO_MANY = frozenset(
    {
        0x80100000,  # BadTooManyOperations
        0x80B80000,  # BadRequestTooLarge
        0x80B90000,  # BadResponseTooLarge
        0x80080000,  # BadEncodingLimitsExceeded
        0x80800000,  # BadTcpMessageTooLarge
    }
)
"""Answers of a server to a request that was too large for it."""


class Bounds:
    """The most of each kind that one request may hold, for one session."""

    def __init__(self, settings: Limits) -> None:
        self._most = dict(zip(ALL, _PROFILES[settings.profile], strict=True))
        written = (
            (READ, settings.nodes_per_read),
            (WRITE, settings.nodes_per_write),
            (BROWSE, settings.nodes_per_browse),
            (ITEMS, settings.items_per_call),
            (SUBSCRIPTION, settings.items_per_subscription),
        )
        for kind, most in written:
            if most is not None:
                self._most[kind] = most

    def of(self, kind: str) -> int:
        return self._most[kind]

    def server_says(self, kind: str, most: object) -> None:
        """An operation limit of the server (OPC 10000-5, 6.3.11): 0 or nothing means that it knows none."""
        if isinstance(most, int) and not isinstance(most, bool) and most > 0:
            self._most[kind] = min(self._most[kind], most)

    def refused(self, kind: str, size: int) -> bool:
        """A request of `size` was too large. False: there is nothing smaller."""
        if size <= 1:
            return False
        self._most[kind] = max(size // 2, 1)
        return True

    async def cut(self, kind: str, items: Sequence[T], do: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        """Do `items` in pieces. A piece that is too large for the server is done again in smaller ones."""
        place = 0
        while place < len(items):
            piece = items[place : place + self._most[kind]]
            try:
                await do(piece)
            except ServerRefused as error:
                if error.code not in TOO_MANY or not self.refused(kind, len(piece)):
                    raise
            else:
                place += len(piece)


__all__ = ["ALL", "BROWSE", "CALLS", "ITEMS", "READ", "SUBSCRIPTION", "TOO_MANY", "WRITE", "Bounds"]
