"""A site's wall clock: from UTC to local time and back, over daylight saving.

Local times are milliseconds as if they were UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times have no zone
_MS = timedelta(milliseconds=1)


class Zone:
    """An IANA time zone by name. Raises KeyError for one that is not known here."""

    __slots__ = ("_zone",)

    def __init__(self, name: str) -> None:
        self._zone = _find(name)

    def offset(self, wall_ms: int) -> int:
        """Local time minus UTC, in ms, at a moment."""
        return _offset_of(datetime.fromtimestamp(wall_ms // 1000, self._zone))

    def local(self, wall_ms: int) -> int:
        """What the site's clock shows at a moment."""
        return wall_ms + self.offset(wall_ms)

    def first(self, local_ms: int) -> int:
        """The first moment at which the clock shows this or, where it skips this time, the moment after the gap."""
        naive = _EPOCH + local_ms * _MS
        wall = local_ms - _offset_of(naive.replace(tzinfo=self._zone, fold=0))
        if self.local(wall) == local_ms:
            return wall
        before = local_ms - _offset_of(naive.replace(tzinfo=self._zone, fold=1))
        return self._change(before, wall)

    def _change(self, low: int, high: int) -> int:
        """The moment after `low`, until `high`, from which on the offset is another."""
        old = self.offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == old:
                low = middle
            else:
                high = middle
        return high


def _offset_of(moment: datetime) -> int:
    offset = moment.utcoffset()
    return 0 if offset is None else offset // _MS


def _find(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no zone files
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # no name of a zone at all, or a folder of zones
        raise KeyError(name) from None
