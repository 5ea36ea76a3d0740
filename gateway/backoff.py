"""How long to wait before the next try: full jitter below a growing, capped bound."""

from __future__ import annotations

import random
from collections.abc import Callable

_FLOOR = 0.02
"""Share of the bound that is always waited, so that an unlucky draw never makes a busy loop."""


class Backoff:
    """Delays for one thing that is tried again. Draws from 0..bound, the bound doubles up to `cap_s`."""

    def __init__(self, first_s: float, cap_s: float, draw: Callable[[], float] = random.random) -> None:
        self._first_s = min(first_s, cap_s)
        self._cap_s = cap_s
        self._draw = draw
        self._bound = self._first_s

    def next(self) -> float:
        """Seconds to wait now; the next bound is twice this one."""
        bound = self._bound
        self._bound = min(bound * 2.0, self._cap_s)
        return bound * max(self._draw(), _FLOOR)

    def reset(self) -> None:
        self._bound = self._first_s
