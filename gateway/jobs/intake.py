"""How many new jobs an uplink may bring: each becomes entries of the journal, and whoever has taken over a broker must
not drive everything else out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.clock import Clock, Timer
from gateway.errors import GatewayError
from gateway.jobs.work import LOCAL

BURST = 120
"""So many at once, and then one more each `REFILL_S` seconds."""
REFILL_S = 60.0
TELL_S = 60.0
"""So long those that were left out are counted for one entry."""
_ALMOST = 1e-6
"""Of a job: seconds are no whole numbers."""


class Recorder(Protocol):
    def __call__(self, who: str, via: str, what: str, **details: object) -> None:
        """Add an audit entry."""
        ...


class TooManyJobs(GatewayError):
    """What came is not even read. What stands on `job/next` is to be asked for again later."""


class _Bucket:
    def __init__(self, now: float) -> None:
        self.left = float(BURST)
        self.at = now
        self.untold = 0
        self.timer: Timer | None = None


class Intake:
    """One bucket for each uplink. Somebody at this machine is not counted."""

    def __init__(self, clock: Clock, audit: Recorder) -> None:
        self._clock = clock
        self._audit = audit
        self._buckets: dict[str, _Bucket] = {}
        self.left_out: dict[str, int] = {}
        """Messages of each uplink that were not read, since the start."""

    def check(self, uplink: str) -> None:
        """Raises TooManyJobs when this uplink may bring nothing now."""
        if uplink == LOCAL:
            return
        bucket = self._filled(uplink)
        if bucket.left >= 1 - _ALMOST:
            return
        self.left_out[uplink] = self.left_out.get(uplink, 0) + 1
        bucket.untold += 1
        if bucket.timer is None:
            bucket.timer = self._clock.call_later(TELL_S, self._teller(uplink, bucket))
        raise TooManyJobs(f"more than {BURST} jobs came over {uplink}: from now on one in {REFILL_S:g} s is looked at")

    def spend(self, uplink: str) -> None:
        """Something came that will be told of."""
        if uplink != LOCAL:
            self._filled(uplink).left -= 1

    def _filled(self, uplink: str) -> _Bucket:
        now = self._clock.mono()
        bucket = self._buckets.setdefault(uplink, _Bucket(now))
        bucket.left = min(BURST, bucket.left + (now - bucket.at) / REFILL_S)
        bucket.at = now
        return bucket

    def _teller(self, uplink: str, bucket: _Bucket) -> Callable[[], None]:
        def tell() -> None:
            count, bucket.untold, bucket.timer = bucket.untold, 0, None
            text = "jobs came faster than they may: what stands on job/next is looked at again"
            self._audit(uplink, "job", "jobs_left_out", left_out=count, text=text)

        return tell
