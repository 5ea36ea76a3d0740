"""One timeline over several boots and set clocks: what a replay counts in.

Within a boot the boot clock is the line. Another boot goes on where the wall clock says that it began, and never before
what was: its boot clock is shifted so that the wall clock stays what it was stamped.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A moment on the line; `offset` is the wall clock minus it. `another_boot`: the first moment of one."""

    at: int
    offset: int
    another_boot: bool


class Timeline:
    """Puts stamped moments on the line, in the order in which they came."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.offset = 0
        self._boot: str | None = None
        self._shift = 0

    def place(self, boot: str, at: int, offset: int) -> Place:
        """Where a moment of `boot` is, with the offset that held then."""
        another = self._boot is not None and boot != self._boot
        if another:
            assert self.at is not None
            self._shift = max(self.at, at + offset - self.offset) - at
        self._boot = boot
        self.offset = offset - self._shift
        self.at = at + self._shift if self.at is None else max(self.at, at + self._shift)
        return Place(self.at, self.offset, another)

    def at_wall(self, wall: int) -> int:
        """When the wall clock showed `wall`, by what held last; never before what was."""
        assert self.at is not None
        return max(self.at, wall - self.offset)
