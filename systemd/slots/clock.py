"""Time that no setting of the clock moves: seconds since boot, sleep included, and which boot it is."""

from __future__ import annotations

import time
from pathlib import Path


class Clock:
    """The machine's."""

    def boottime_s(self) -> int:
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))

    def boot_id(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def wall_s(self) -> int:
        """For people only; nothing is decided by it."""
        return int(time.time())
