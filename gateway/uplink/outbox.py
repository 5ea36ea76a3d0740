"""Results on their way to the brokers: per uplink, kept until that broker has them, over connections and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gateway.uplink.commandrow import Reply


class Box:
    """What one uplink owes. `notes` are `accepted` messages: they are worth nothing after the result."""

    def __init__(self) -> None:
        self.owed: dict[str, tuple[Reply, ...]] = {}
        self.notes: dict[str, bytes] = {}
        self.bell = asyncio.Event()


class Outbox:
    """The boxes of all uplinks. Bounded by the known rids: what is forgotten is not owed any more."""

    def __init__(self) -> None:
        self._boxes: dict[str, Box] = {}

    def box(self, uplink: str) -> Box:
        """The box of an uplink."""
        if uplink not in self._boxes:
            self._boxes[uplink] = Box()
        return self._boxes[uplink]

    def note(self, rid: str, replies: Iterable[Reply], payload: bytes) -> None:
        """Tell all who wait that it takes longer."""
        for uplink in {reply.uplink for reply in replies}:
            box = self.box(uplink)
            box.notes[rid] = payload
            box.bell.set()

    def owe(self, rid: str, replies: Iterable[Reply]) -> None:
        """The result is on disk: it goes to all who wait."""
        by_uplink: dict[str, list[Reply]] = {}
        for reply in replies:
            by_uplink.setdefault(reply.uplink, []).append(reply)
        for uplink, theirs in by_uplink.items():
            box = self.box(uplink)
            box.notes.pop(rid, None)
            box.owed[rid] = tuple(theirs)
            box.bell.set()

    def forget(self, rids: Iterable[str]) -> None:
        for rid in rids:
            for box in self._boxes.values():
                box.owed.pop(rid, None)
                box.notes.pop(rid, None)
