"""Hears whether code that should only look at data touches the network."""

from __future__ import annotations

import sys
import threading
from typing import Any

_NETWORK = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"})


class Ear:
    """Hears of network calls of the thread that listens, while `on`: the bench's peers and proxies have threads of
    their own. An audit hook is for ever, so there is one.
    """

    def __init__(self) -> None:
        self.on = False
        self.heard: list[str] = []
        self._hooked = False
        self._thread = 0

    def listen(self) -> None:
        if not self._hooked:
            self._hooked = True
            sys.addaudithook(self._hear)
        self.heard = []
        self._thread = threading.get_ident()
        self.on = True

    def hush(self) -> list[str]:
        """Stop listening. Returns what was heard."""
        self.on = False
        return self.heard

    def _hear(self, event: str, _args: tuple[Any, ...]) -> None:
        if self.on and event in _NETWORK and threading.get_ident() == self._thread:
            self.heard.append(event)


EAR = Ear()
