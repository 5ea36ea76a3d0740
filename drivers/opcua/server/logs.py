"""The library's log, one line a minute at most: whoever reaches the port must not fill the journal of the machine."""

from __future__ import annotations

import logging
import time

_EVERY_S = 60.0
_NAME = "asyncua.server"


class Seldom(logging.Handler):
    """Hands on one record a minute and says how many it kept back."""

    def __init__(self, log: logging.LoggerAdapter[logging.Logger]) -> None:
        super().__init__(logging.ERROR)
        self._log = log
        self._next = 0.0
        self._held = 0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now < self._next:
            self._held += 1
            return
        self._next = now + _EVERY_S
        more = f" (and {self._held} more since the last)" if self._held else ""
        self._held = 0
        cause = record.exc_info[1] if record.exc_info else None
        self._log.info("the library says: %s%s%s", record.getMessage(), f": {cause!r}" if cause else "", more)


def listen(log: logging.LoggerAdapter[logging.Logger]) -> Seldom:
    """Take the library's records of its server from now on."""
    logger = logging.getLogger(_NAME)
    handler = Seldom(log)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(handler)
    return handler


def leave(handler: Seldom) -> None:
    logging.getLogger(_NAME).removeHandler(handler)
