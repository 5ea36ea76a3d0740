"""A terminal taken over for the time of the demo: its other screen, single keys, and everything back at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence

_ENTER = "\x1b[?1049h\x1b[?25l"  # other screen, no cursor (xterm)
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def draw(text: Sequence[str]) -> None:
    """Paint over what is there: no flicker, as nothing is cleared first."""
    sys.stdout.write(_HOME + "".join(f"{line}{_CLEAR_LINE}\n" for line in text[:-1]))
    sys.stdout.write(f"{text[-1]}{_CLEAR_LINE}{_CLEAR_BELOW}")
    sys.stdout.flush()


def size() -> tuple[int, int]:
    """Columns and lines."""
    return tuple(shutil.get_terminal_size((80, 24)))  # type: ignore[return-value]  # a named tuple of two


@contextlib.contextmanager
def taken_over(on_key: Callable[[str], None]) -> Iterator[None]:
    """Within the block `draw` may be used, and `on_key` gets each key. Ctrl-C stays a signal."""
    loop = asyncio.get_running_loop()
    keys = sys.stdin.fileno() if sys.stdin.isatty() else -1
    before = termios.tcgetattr(keys) if keys >= 0 else []

    def read() -> None:
        for key in os.read(keys, 64).decode(errors="ignore"):
            on_key(key)

    try:
        sys.stdout.write(_ENTER)
        if keys >= 0:
            tty.setcbreak(keys)
            loop.add_reader(keys, read)
        yield
    finally:
        if keys >= 0:
            loop.remove_reader(keys)
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
