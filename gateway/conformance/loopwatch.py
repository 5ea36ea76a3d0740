"""Finds who holds up the event loop. By counting: a thread looks again and again whether the loop has turned.

It counts its own looks, not time: on a machine that is busy, or stopped, the thread does not look either. A look at a
loop that was ready to run and was given no processor since the look before does not count.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

_TURN_S = 0.005
_LOOK_S = 0.01
_LOOKS = 15
"""Looks in a row without a turn of the loop that are a stall, half of them in the driver: 0.15 s on an idle machine."""


class LoopWatch:
    """`with LoopWatch(folder)`: `stalls` has the places in files below `folder` that held up the loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._turns = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="loop watch", daemon=True)
        self._timer: asyncio.TimerHandle | None = None
        self._main = threading.get_ident()
        self._stat = Path(f"/proc/self/task/{threading.get_native_id()}/stat")
        self._used = 0.0
        self.stalls: dict[str, int] = {}
        """Place -> the longest row of looks."""

    @property
    def turns(self) -> int:
        """How often the loop has turned so far, one in about 5 ms."""
        return self._turns

    def __enter__(self) -> LoopWatch:  # noqa: PYI034
        self._turn()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5.0)
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self) -> None:
        self._turns += 1
        self._timer = asyncio.get_running_loop().call_later(_TURN_S, self._turn)

    def _look(self) -> None:
        seen, looks = -1, 0
        places: dict[str, int] = {}
        while not self._over.wait(_LOOK_S):
            if self._turns != seen:
                seen, looks = self._turns, 0
                places.clear()
                continue
            if self._starved():
                continue
            looks += 1
            place = self._place(sys._current_frames().get(self._main))
            if place:
                places[place] = places.get(place, 0) + 1
            if looks >= _LOOKS and sum(places.values()) >= _LOOKS // 2:
                worst = max(places, key=lambda each: places[each])
                self.stalls[worst] = max(self.stalls.get(worst, 0), looks)

    def _starved(self) -> bool:
        """Whether the loop's thread wants to run and did not since the last look, which is the machine's doing."""
        before, self._used = self._used, time.clock_gettime(time.pthread_getcpuclockid(self._main))
        try:
            state = self._stat.read_text().rpartition(")")[2].split()[0]
        except OSError:  # no Linux
            return False
        return state == "R" and self._used == before

    def _place(self, frame: FrameType | None) -> str:
        """Where in the driver the loop's thread is; empty when it is elsewhere."""
        for found in reversed(traceback.extract_stack(frame) if frame is not None else []):
            if found.filename.startswith(self._folder):
                return f"{Path(found.filename).name}:{found.lineno} in {found.name}"
            if "/gateway/conformance/" in found.filename:
                break
        return ""
