"""The event loop under watch: fed from the loop, looked at from a thread.

A call that blocks the loop cannot be isolated in one process. So the process ends, hard, and names who did it: the
thread takes the loop's stack, finds the unit (the running task's name, the driver's folder), and writes both to the
log and to a file in the state directory, which the next start reports as an issue. Under systemd its watchdog ends
the process; without one this module does, with exit code 70. The journal is safe: whatever was committed stays.

The thread counts its own looks and not the clock, so a suspended or stopped process is never taken for a blocked one.
C code that keeps the interpreter's lock stops the thread too; then only systemd can help.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from msgspec import Struct

from gateway import sdnotify
from gateway.health import Health

EXIT_BLOCKED = 70
LIMIT_S = 30.0
"""How long the loop may stand still where systemd does not watch; FIELDPOST_LOOP_LIMIT_S overrides it."""
WARN_S = 3.0
TICK_S = 0.5
CULPRIT_FILE = "blocked_by.json"
_LAGS_S = 60.0

_log = logging.getLogger("fieldpost.watchdog")


class Culprit(Struct, frozen=True):
    """Who blocked the loop. `unit` is a task name such as `driver:modbus[line1]`, `place` file:line of the call."""

    unit: str
    place: str
    stack: str


class Watchdog:
    """Core unit. `limit_s` None: from the environment, else 30 s. `end` ends the process."""

    def __init__(
        self,
        state_dir: Path,
        health: Health,
        *,
        limit_s: float | None = None,
        warn_s: float = WARN_S,
        tick_s: float = TICK_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._file = state_dir / CULPRIT_FILE
        self._health = health
        self._systemd_s = sdnotify.watchdog_s()
        self._limit_s = limit_s if limit_s is not None else _limit_from_environment()
        self._warn_s = min(warn_s, self._limit_s / 2, (self._systemd_s or self._limit_s) / 3)
        self._tick_s = min(tick_s, self._warn_s / 2)
        self._end = end
        self._ticks = 0
        self._told = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._closing = threading.Event()
        self.lag = 0.0
        """Seconds by which the loop's last wake-up was late."""
        self.max_lag = 0.0
        self._lags: deque[float] = deque(maxlen=max(1, round(_LAGS_S / self._tick_s)))
        self.blocked_by: Culprit | None = None
        """Who blocked the loop last, in this process."""

    async def run(self) -> None:
        """Feed the watchdog until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._report_previous()
        self._closing.clear()
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        thread.start()
        try:
            while True:
                self._ticks += 1
                self._feed_systemd()
                before = time.monotonic()
                await asyncio.sleep(self._tick_s)
                self.lag = max(0.0, time.monotonic() - before - self._tick_s)
                self.max_lag = max(self.max_lag, self.lag)
                self._lags.append(self.lag)
        finally:
            self._closing.set()

    def lags(self) -> dict[str, float]:
        """By how many ms the loop's wake-ups were late: the last one, the 99th percentile of the last minute, the worst
        since the start.
        """
        recent = sorted(self._lags)
        p99 = recent[math.ceil(0.99 * len(recent)) - 1] if recent else 0.0
        return {name: round(s * 1000, 2) for name, s in (("last", self.lag), ("p99", p99), ("max", self.max_lag))}

    def _feed_systemd(self) -> None:
        now = time.monotonic()
        if self._systemd_s is not None and now - self._told >= self._systemd_s / 4:
            self._told = now
            sdnotify.notify("WATCHDOG=1")

    def _report_previous(self) -> None:
        """Raise an issue for the process before this one, if it ended blocked."""
        try:
            row: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            unit, place = str(row["unit"]), str(row["place"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            _log.warning("%s cannot be read", self._file)
            return
        _log.error("the process before this one was blocked by %s at %s", unit, place)
        self._health.set(
            "loop_blocked",
            unit,
            f"the process was ended because {unit} blocked it at {place}",
            "update or disable this driver; see the log for the stack",
        )
        self._file.unlink(missing_ok=True)

    def _watch(self) -> None:
        """The thread: counts looks in which the loop did not tick."""
        seen, still = -1, 0.0
        warned = False
        while not self._closing.wait(self._tick_s):
            if self._ticks != seen:
                if warned:
                    self._recovered(still)
                seen, still, warned = self._ticks, 0.0, False
                continue
            still += self._tick_s
            if still >= self._warn_s and not warned:
                warned = True
                self._name_culprit(still)
            if still >= self._limit_s and self._systemd_s is None:
                _log.critical("the event loop has stood still for %.1f s: ending the process", still)
                _flush_logs()
                self._end(EXIT_BLOCKED)
                return

    def _name_culprit(self, seconds: float) -> None:
        culprit = find_culprit(self._loop_thread, self._loop)
        self.blocked_by = culprit
        row = {"unit": culprit.unit, "place": culprit.place, "stack": culprit.stack, "seconds": seconds}
        try:
            self._file.write_text(json.dumps(row), encoding="utf-8")
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._file, error)
        _log.error(
            "%s has blocked the event loop for %.1f s at %s\n%s", culprit.unit, seconds, culprit.place, culprit.stack
        )
        _flush_logs()

    def _recovered(self, seconds: float) -> None:
        self._file.unlink(missing_ok=True)
        unit = self.blocked_by.unit if self.blocked_by else "unknown"
        _log.warning("the event loop goes on after %.1f s; it was blocked by %s", seconds, unit)


def find_culprit(thread: int, loop: asyncio.AbstractEventLoop | None) -> Culprit:
    """Who runs on the loop's thread right now."""
    frame = sys._current_frames().get(thread)
    stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
    task = asyncio.current_task(loop) if loop is not None else None
    place, folder = _ours(frame)
    name = task.get_name() if task is not None else ""
    unit = name.partition("/")[0]
    if ":" not in unit:
        unit = folder or name or "unknown"
    return Culprit(unit, place, stack)


def _ours(frame: FrameType | None) -> tuple[str, str]:
    """The innermost call as file:line, and `drivers/NAME` of the innermost frame in a driver's folder."""
    place, folder = "", ""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        place = place or f"{path}:{frame.f_lineno}"
        parts = path.parts
        if not folder and "drivers" in parts[:-1]:
            at = len(parts) - 1 - parts[::-1].index("drivers")
            folder = "/".join(parts[at : at + 2])
        frame = frame.f_back
    return place, folder


def _limit_from_environment() -> float:
    try:
        return max(1.0, float(os.environ.get("FIELDPOST_LOOP_LIMIT_S", LIMIT_S)))
    except ValueError:
        return LIMIT_S


def _flush_logs() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
