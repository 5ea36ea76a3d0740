"""What drivers tell that is no value (a button pressed, an alarm of the device's own), as entries of the event stream.

Bounded: a channel may tell RATE a second after a burst of BURST, and LONGEST bytes an entry. What is beyond that is
counted, and the next entry that passes says how many were left out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from gateway.clock import Clock

RATE = 20.0
BURST = 200.0
LONGEST = 8_192


class DeviceEvents:
    """The events of one channel."""

    def __init__(
        self,
        channel: str,
        clock: Clock,
        emit: Callable[[dict[str, Any]], None],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._emit = emit
        self._log = log
        self._left = BURST
        self._since = clock.mono()
        self.left_out = 0

    def put(self, device: str, what: str, fields: Mapping[str, Any]) -> None:
        """Tell one event. `ts` among the fields (UTC ms) is when it happened; without one that is now."""
        rest = dict(fields)
        ts = rest.pop("ts", None)
        if not self._may() or not self._fits(rest):
            self.left_out += 1
            return
        entry: dict[str, Any] = {
            "ts": ts if isinstance(ts, int) and not isinstance(ts, bool) and ts > 0 else self._clock.wall_ms(),
            "kind": "device_event",
            "device": device,
            "channel": self._channel,
            "what": what,
        }
        if rest:
            entry["fields"] = rest
        if self.left_out:
            entry["left_out"], self.left_out = self.left_out, 0
        self._emit(entry)

    def _may(self) -> bool:
        now = self._clock.mono()
        self._left = min(BURST, self._left + (now - self._since) * RATE)
        self._since = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _fits(self, fields: Mapping[str, Any]) -> bool:
        try:
            size = len(json.dumps(fields, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            self._log.warning("an event of the driver is left out: %s", error)
            return False
        if size > LONGEST:
            self._log.warning("an event of the driver is left out: %d bytes, more than %d", size, LONGEST)
        return size <= LONGEST
