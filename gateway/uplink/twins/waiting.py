"""How many messages of the twin topics wait at once. What is beyond is dropped when it comes, and told.

Each kind of message has a bound of its own: whoever floods one topic keeps nobody from asking on another one.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

PER_DEVICE = 64
IN_ALL = 256
KINDS = ("twin/update", "twin/get", "state/update")


class Dropped(Struct):
    """Messages of a device and kind that were dropped since it was told. `last`: payload of the newest one."""

    count: int
    last: bytes


class Waiting:
    """Counts what waits, by kind and by device."""

    def __init__(self) -> None:
        self._here: Counter[tuple[str, str]] = Counter()
        self._in_all: Counter[str] = Counter()
        self._dropped: dict[tuple[str, str], Dropped] = {}

    def enter(self, device: str, kind: str, payload: bytes, *, known: bool) -> bool:
        """Whether a message may wait. `known`: there is such a device, so it is worth telling what was dropped."""
        if self._here[device, kind] < PER_DEVICE and self._in_all[kind] < IN_ALL:
            self._here[device, kind] += 1
            self._in_all[kind] += 1
            return True
        if known:
            dropped = self._dropped.setdefault((device, kind), Dropped(0, b""))
            dropped.count, dropped.last = dropped.count + 1, payload
        return False

    def leave(self, device: str, kind: str) -> None:
        """A message that entered is done."""
        self._in_all[kind] -= 1
        self._here[device, kind] -= 1
        if not self._here[device, kind]:
            del self._here[device, kind]  # names of devices come from outside

    def take_dropped(self) -> dict[tuple[str, str], Dropped]:
        """What was dropped since this was asked for."""
        dropped, self._dropped = self._dropped, {}
        return dropped
