"""Time, as a dependency. Everything that waits or stamps takes a Clock, so that tests can move it.

Two clocks, never mixed: the wall clock (UTC milliseconds; may step, may be wrong) stamps values; the boot clock
(monotonic, counts through suspend) orders, times out and schedules.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_TIMESYNC_STAMP = Path("/run/systemd/timesync/synchronized")


class Timer(Protocol):
    """A pending `call_later`."""

    def cancel(self) -> None:
        """The callback does not run any more. Harmless when it has run."""
        ...


class Clock(Protocol):
    """What the gateway knows of time."""

    def wall_ms(self) -> int:
        """UTC in milliseconds since 1970, as the system believes."""
        ...

    def mono(self) -> float:
        """Seconds on the boot clock: never steps, not comparable between boots."""
        ...

    def synced(self) -> bool:
        """Whether the wall clock counts as right (`clock.trust` in gateway.yaml)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on the boot clock."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Run `callback` on the event loop after that time: a timeout without a task of its own."""
        ...


class SystemClock:
    """The operating system's clocks.

    `trust` says what makes the wall clock right: a callable, asked at most once per second.
    """

    def __init__(self, trust: Callable[[], bool] | None = None) -> None:
        self._trust = trust if trust is not None else ntp_synced
        self._asked_at = -1.0
        self._synced = False

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def synced(self) -> bool:
        now = self.mono()
        if now - self._asked_at >= 1.0 or self._asked_at < 0:
            self._asked_at = now
            self._synced = self._trust()
        return self._synced

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


def ntp_synced() -> bool:
    """Whether the kernel or systemd-timesyncd says that the clock is disciplined. Works in containers."""
    if _TIMESYNC_STAMP.exists():
        return True
    return _kernel_says_synced()


def trust_of(word: str, release_ms: int) -> Callable[[], bool] | None:
    """What `clock.trust` means: `ntp` asks the system (None: the default), `rtc` believes a wall clock that is not
    older than the release, `always` believes any.
    """
    if word == "rtc":
        return lambda: time.time_ns() // 1_000_000 >= release_ms
    return (lambda: True) if word == "always" else None


def _kernel_says_synced() -> bool:
    import ctypes

    # struct timex is 208 bytes on 64-bit Linux; modes = 0 only reads. Return value 5 is TIME_ERROR: unsynchronised.
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(256)
        state: int = libc.adjtimex(buffer)
    except (OSError, AttributeError):
        return False
    return 0 <= state != 5


def boot_id() -> str:
    """Eight hex digits that name this boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "00000000"
