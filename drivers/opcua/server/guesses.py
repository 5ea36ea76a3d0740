"""Wrong passwords: who tries them waits longer each time, and a person learns of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import TypeVar

FIRST_S = 1.0
LONGEST_S = 8.0
FREE_OF_A_HOST = 10
"""Refusals of an address, as whatever user, before each further try from there waits: several people share an HMI."""
TOLD = 3
"""Refusals of a user from an address that make an issue: a typing error makes none."""
FORGET_S = 600.0
_MOST = 500
_LINE_S = 60.0
_NAMED = 5
_K = TypeVar("_K", bound=Hashable)


class _Tries:
    def __init__(self) -> None:
        self.count = 0
        self.held = 0
        """Refusals since the last line of the log."""
        self.last = 0.0
        self.line = float("-inf")


class Guesses:
    """Refused log-ins by user and address. Bounded: whoever tries many names pushes out his own oldest ones."""

    def __init__(
        self,
        log: logging.LoggerAdapter[logging.Logger],
        now: Callable[[], float],
        tell: Callable[[str], None],
        clear: Callable[[], None],
    ) -> None:
        self._log = log
        self._now = now
        self._tell = tell
        self._clear = clear
        self._tries: dict[tuple[str, str], _Tries] = {}
        self._hosts: dict[str, _Tries] = {}
        self._told = False

    def wait_s(self, user: str, host: str) -> float:
        """How long a log-in waits before its password is looked at."""
        pair, alone = self._tries.get((user, host)), self._hosts.get(host)
        return max(
            self._left(pair, 0 if pair is None else pair.count),
            self._left(alone, 0 if alone is None else alone.count - FREE_OF_A_HOST),
        )

    def refused(self, user: str, host: str) -> None:
        """A log-in was refused."""
        now = self._now()
        alone = _entry(self._hosts, host)
        tries = _entry(self._tries, (user, host))
        for each in (alone, tries):
            each.count += 1
            each.last = now
        if now - tries.line >= _LINE_S:
            more = f" (and {tries.held} more times since the last line)" if tries.held else ""
            self._log.warning("a log-in as %r from %s was refused%s", user, host, more)
            tries.line, tries.held = now, 0
        else:
            tries.held += 1
        if tries.count >= TOLD or alone.count >= FREE_OF_A_HOST:
            self._told = True
            self._tell(self._text())

    def passed(self, user: str, host: str) -> None:
        """A log-in was right."""
        self._tries.pop((user, host), None)

    def forget(self) -> None:
        """Drop what is long past; the issue goes with the last one."""
        before = self._now() - FORGET_S
        _drop(self._tries, before)
        _drop(self._hosts, before)
        if self._told and not self._tries:
            self._told = False
            self._clear()

    def _left(self, tries: _Tries | None, count: int) -> float:
        if tries is None or count <= 0:
            return 0.0
        delay = min(FIRST_S * float(1 << min(count - 1, 8)), LONGEST_S)
        return max(0.0, tries.last + delay - self._now())

    def _text(self) -> str:
        most = sorted(self._tries.items(), key=lambda item: -item[1].count)
        named = ", ".join(f"{user!r} from {host} ({tries.count} times)" for (user, host), tries in most[:_NAMED])
        more = f" and {len(most) - _NAMED} more" if len(most) > _NAMED else ""
        return f"log-ins were refused: {named}{more}"


def _drop(kept: dict[_K, _Tries], before: float) -> None:
    for key in [key for key, tries in kept.items() if tries.last < before]:
        del kept[key]


def _entry(kept: dict[_K, _Tries], key: _K) -> _Tries:
    found = kept.get(key)
    if found is None:
        while len(kept) >= _MOST:
            kept.pop(next(iter(kept)))
        found = kept[key] = _Tries()
    return found
