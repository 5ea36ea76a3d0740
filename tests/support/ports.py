"""Free TCP ports on loopback, for servers that must be told theirs before they start."""

from __future__ import annotations

import contextlib
import random
import socket

FIRST, LAST = 15_000, 30_000
"""Below the range that the kernel gives to outgoing connections: a port that its server left for minutes stays free."""


def free_port() -> int:
    """A port that was free a moment ago. Servers that can bind port 0 themselves should do that instead."""
    for port in random.sample(range(FIRST, LAST), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port found")


def is_open(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
