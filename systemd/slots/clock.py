"""Time that no setting of the clock moves: seconds since boot, sleep included, and which boot it is."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from slots.disk import read_small
from slots.places import Places


class Clock:
    """The machine's."""

    def __init__(self, places: Places) -> None:
        self._boot = places.boot

    def boottime_s(self) -> int:
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))

    def boot_id(self) -> str:
        """A word in `/run`, which is empty after a boot. The kernel's own id is not the same in every sandbox: a
        container has one of its own, and a unit with a fresh `/proc` does not see it.
        """
        with contextlib.suppress(OSError, ValueError):
            return read_small(self._boot, 100).decode("ascii")
        made = os.urandom(8).hex()
        with contextlib.suppress(OSError):
            self._boot.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._boot.with_name("boot.tmp")
            fresh.write_text(made, encoding="ascii")
            fresh.replace(self._boot)
            return made
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def wall_s(self) -> int:
        """For people only; nothing is decided by it."""
        return int(time.time())
