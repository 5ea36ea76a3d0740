"""Logging for a service: one line each on stderr (systemd's journal keeps them), and no flood.

The same message from the same place is written at most BURST times in WINDOW seconds; the rest is counted, and the
count is written once when the window ends with the next message. A fault that repeats ten thousand times a second
must not fill the disk of a box that nobody looks at.
"""

from __future__ import annotations

import logging
import os
import sys
import time

BURST = 5
WINDOW_S = 10.0
_MAX_PLACES = 1000
_NEVER_HELD_BACK = "fieldpost.audit"
"""Who changed what is told whole; the service manager's own limit still holds."""


class FloodFilter(logging.Filter):
    """Lets BURST records of one place (logger, level, line) pass per window; the next one names how many did not."""

    def __init__(self, burst: int = BURST, window_s: float = WINDOW_S) -> None:
        super().__init__()
        self._burst = burst
        self._window_s = window_s
        self._places: dict[tuple[str, int, str, int], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == _NEVER_HELD_BACK:
            return True
        now = time.monotonic()
        key = (record.name, record.levelno, record.pathname, record.lineno)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            place = self._places[key] = [now, 0, 0]  # window start, passed, held back
        if now - place[0] >= self._window_s:
            held = int(place[2])
            place[0], place[1], place[2] = now, 0, 0
            if held:
                record.msg = f"{record.getMessage()} ({held} more like this in the last {self._window_s:g} s)"
                record.args = ()
        if place[1] < self._burst:
            place[1] += 1
            return True
        place[2] += 1
        return False


class _Format(logging.Formatter):
    """`<3>` priorities where stderr goes to the system journal, times where a person reads it."""

    def __init__(self, *, for_journal: bool) -> None:
        super().__init__(
            "%(name)s: %(message)s" if for_journal else "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
        )
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self._for_journal:
            return text
        priority = 3 if record.levelno >= logging.ERROR else 4 if record.levelno >= logging.WARNING else 6
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines())


def setup(level: str = "INFO") -> None:
    """Send all logging to stderr. `level` is a logging level's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Format(for_journal="JOURNAL_STREAM" in os.environ))
    handler.addFilter(FloodFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Libraries tell about every packet at INFO; their warnings are ours to map and repeat what we say ourselves.
    for name in ("pymodbus", "asyncio", "mqtt", "aiomqtt", "asyncua"):
        logging.getLogger(name).setLevel(max(logging.ERROR, root.level))
