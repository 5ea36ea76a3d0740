"""What a window is: over which tag, how wide, and when its result is taken."""

from __future__ import annotations

from msgspec import Struct

MAX_SIZE_MS = 24 * 3600 * 1000
MAX_SAMPLES = 10_000


class WindowSpec(Struct, frozen=True):
    """A window over the readings of `tag` (`device.path`).

    `size_ms`: its width in time; 0: it holds the last `samples` good readings. `hop_ms`: its result changes only each
    so often, on multiples of it on the UTC wall clock (as wide as the window: tumbling); 0: it slides.
    `lateness_ms`: a reading that comes out of order still counts when it is at most this much older than the newest.
    """

    tag: str
    size_ms: int = 0
    samples: int = 0
    hop_ms: int = 0
    lateness_ms: int = 0
