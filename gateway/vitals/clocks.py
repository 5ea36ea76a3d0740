"""Whether the wall clock can be believed: not synchronised for long, or set while we ran. Pure."""

from __future__ import annotations

STEP_MS = 2000
"""As for the clock's events in the journal."""
UNSYNCED_S = 3600.0
STEP_SHOWN_S = 3600.0
"""A step is an issue for so long: what people compare by time stamps looks odd around it."""


class ClockLook:
    """Looks again and again; times in seconds of the boot clock and UTC ms."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._synced = False
        self._unsynced_since: float | None = None
        self._stepped: tuple[float, float] | None = None

    def look(self, mono: float, wall_ms: int, *, synced: bool) -> None:
        offset = wall_ms - mono * 1000.0
        first_sync = synced and not self._synced  # the step to the right time is what everybody waits for
        if self._offset is not None and abs(offset - self._offset) > STEP_MS and not first_sync:
            self._stepped = (mono, (offset - self._offset) / 1000.0)
        self._offset, self._synced = offset, synced
        if synced:
            self._unsynced_since = None
        elif self._unsynced_since is None:
            self._unsynced_since = mono

    def unsynced_s(self, mono: float) -> float | None:
        """How long the clock is not synchronised, once that is an issue."""
        since = self._unsynced_since
        return mono - since if since is not None and mono - since > UNSYNCED_S else None

    def stepped_s(self, mono: float) -> float | None:
        """By how much it was set lately."""
        return self._stepped[1] if self._stepped is not None and mono - self._stepped[0] < STEP_SHOWN_S else None
