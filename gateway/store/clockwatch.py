"""Which clock stamps segments, and when it changed (protocol.md 2.8)."""

from __future__ import annotations

from typing import Any

from gateway.clock import Clock, boot_id
from gateway.store.retention import Now
from gateway.store.segments import Stamp

STEP_MS = 2000


class ClockWatch:
    """The stamp of now, and the `clock` event when the wall clock stepped or its sync state changed."""

    def __init__(self, clock: Clock, boot: str | None = None) -> None:
        self._clock = clock
        self._boot = boot_id() if boot is None else boot
        self.stamp = self._look()

    def _look(self) -> Stamp:
        offset = self._clock.wall_ms() - int(self._clock.mono() * 1000)
        return Stamp(self._boot, offset, "s" if self._clock.synced() else "u")

    def observe(self) -> dict[str, Any] | None:
        """Look at the clock. Returns the event's entry after a step above 2 s or a change of sync, else None.

        Slow corrections move the offset of later segments without an event; what was stamped never moves.
        """
        old, new = self.stamp, self._look()
        self.stamp = new
        if old.flag == new.flag and abs(new.offset - old.offset) <= STEP_MS:
            return None
        return {
            "ts": self._clock.wall_ms(),
            "kind": "clock",
            "boot": new.boot,
            "from": old.flag,
            "to": new.flag,
            "offset_old": old.offset,
            "offset_new": new.offset,
            "at_mono": int(self._clock.mono() * 1000),
        }

    def now(self) -> Now:
        return Now(self._boot, int(self._clock.mono() * 1000), self._clock.wall_ms(), self._clock.synced())
