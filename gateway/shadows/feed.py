"""List and watch: changes of shadows with a revision each, so that a reader never misses one without being told."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

KEPT = 4_096
"""Changes that can be asked for again; a reader that is further behind starts with a list."""


class Change(Struct, frozen=True):
    """What one commit changed of one shadow. `items`: {"side", "path", ...} each."""

    rev: int
    device: str
    items: Sequence[Mapping[str, Any]]


class Feed:
    """The last changes. Revisions count within one run of the process; `token` names a revision of this run."""

    def __init__(self, kept: int = KEPT) -> None:
        self._changes: deque[Change] = deque(maxlen=kept)
        self._run = secrets.token_hex(4)
        self._news = asyncio.Event()
        self.rev = 0

    def token(self, rev: int | None = None) -> str:
        """A revision as readers keep it."""
        return f"{self._run}-{self.rev if rev is None else rev}"

    def put(self, device: str, items: Sequence[Mapping[str, Any]]) -> None:
        if not items:
            return
        self.rev += 1
        self._changes.append(Change(self.rev, device, items))
        news, self._news = self._news, asyncio.Event()
        news.set()

    def since(self, token: str) -> int | None:
        """The revision of a token; None when changes after it are not held any more, or it is of another run."""
        run, _, number = token.partition("-")
        if run != self._run or not number.isdigit() or int(number) > self.rev:
            return None
        rev = int(number)
        oldest = self._changes[0].rev if self._changes else self.rev + 1
        return rev if rev + 1 >= oldest else None

    async def after(self, rev: int) -> AsyncIterator[Change | None]:
        """Changes above `rev`, for ever. None once when some were dropped: the reader lists anew and goes on."""
        while True:
            while rev >= self.rev:
                await self._news.wait()
            oldest = self._changes[0].rev
            if rev + 1 < oldest:
                rev = self.rev
                yield None
                continue
            change = self._changes[rev + 1 - oldest]
            rev = change.rev
            yield change
