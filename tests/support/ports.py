"""Free TCP ports on loopback, for servers that must be told theirs before they start."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that was free a moment ago. Servers that can bind port 0 themselves should do that instead."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_open(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
