"""Which ended commands are known again: 1,000 or 24 h, whichever ends first. Pure logic."""

from __future__ import annotations

from collections import OrderedDict

from gateway.uplink.commandrow import CommandRow

MAX_KNOWN = 1000
KNOWN_S = 24 * 3600.0


class Rids:
    """Ended rids in the order of their ends, on the boot clock of this process."""

    def __init__(self) -> None:
        self._ended: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, rid: str) -> bool:
        return rid in self._ended

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, rid: str, at: float) -> None:
        """A command ended at boot-clock second `at`."""
        self._ended[rid] = at

    def surplus(self, now: float, coming: int = 1) -> list[str]:
        """What is to be forgotten when `coming` more are added."""
        gone: list[str] = []
        for rid, at in self._ended.items():
            if len(self._ended) - len(gone) + coming <= MAX_KNOWN and now - at < KNOWN_S:
                break
            gone.append(rid)
        return gone

    def forget(self, rids: list[str]) -> None:
        for rid in rids:
            self._ended.pop(rid, None)


def ended_at(row: CommandRow, boot: str, mono: float, wall_ms: int, *, synced: bool) -> float:
    """When a kept command ended, on the boot clock of now. A wall clock that nobody trusts makes it young, not old:
    a rid that is forgotten too early would be done twice.
    """
    if row.ended_boot == boot:
        return min(mono, row.ended_mono_ms / 1000.0)
    age = (wall_ms - row.ended) / 1000.0 if synced else 0.0
    return mono - max(0.0, age)
