"""From what a window is to one that works."""

from __future__ import annotations

from rules.windows.hopping import Hopping
from rules.windows.samples import Samples
from rules.windows.sliding import Sliding
from rules.windows.spec import MAX_SAMPLES, MAX_SIZE_MS, WindowSpec
from rules.windows.window import Window


def make_window(spec: WindowSpec, at: int, offset_ms: int = 0) -> Window:
    """A window of this kind, empty, and watched from now on. `at`: boot clock now; `offset_ms`: UTC minus that.

    Raises ValueError for a spec that makes no window: no width or two, wider than the limits, a hop wider than the
    window or over samples.
    """
    by_time = 0 < spec.size_ms <= MAX_SIZE_MS and not spec.samples and 0 <= spec.hop_ms <= spec.size_ms
    by_number = 0 < spec.samples <= MAX_SAMPLES and not spec.size_ms and not spec.hop_ms
    if not (by_time or by_number) or spec.lateness_ms < 0:
        raise ValueError(spec)
    if by_number:
        return Samples(spec.samples, spec.lateness_ms)
    if spec.hop_ms:
        return Hopping(spec.size_ms, spec.hop_ms, at, spec.lateness_ms, offset_ms)
    return Sliding(spec.size_ms, at, spec.lateness_ms)
