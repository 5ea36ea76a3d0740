"""Another log level for a while. Ends by itself, and with the process."""

from __future__ import annotations

import logging

from gateway.clock import Clock, Timer

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOGGERS = ("fieldpost", "pymodbus", "asyncio", "asyncua")
"""Whose level may be changed: ours, and those of libraries that never log what is secret."""


def is_ours(logger: str) -> bool:
    """Whether a logger's level may be changed."""
    return any(logger == name or logger.startswith(f"{name}.") for name in LOGGERS)


class LogLevels:
    """Levels that were changed for a while, each with what it was before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before: dict[str, int] = {}
        self._timers: dict[str, Timer] = {}

    def set(self, logger: str, level: str, for_s: float) -> None:
        """From now on; one that is changed already gets another end."""
        log = logging.getLogger(logger)
        timer = self._timers.pop(logger, None)
        if timer is not None:
            timer.cancel()
        self._before.setdefault(logger, log.level)
        log.setLevel(level)
        self._timers[logger] = self._clock.call_later(for_s, lambda: self._end(logger))

    def _end(self, logger: str) -> None:
        self._timers.pop(logger, None)
        logging.getLogger(logger).setLevel(self._before.pop(logger))
