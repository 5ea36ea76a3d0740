"""A bound to what a server may send without end.

asyncua gathers a chunk until it has the size that its header names, up to 4 GB. A chunk is never longer than the buffer
that we offered with Hello, 64 KB (OPC 10000-6, 7.1.2.3): a peer that goes beyond has lost its way, or means harm.
"""

from __future__ import annotations

from typing import Any

MOST = 1024 * 1024
"""Bytes of one chunk that is not complete: far above what any server may send, far below what hurts."""


def bound(protocol: Any) -> None:
    """Close the connection of an asyncua protocol when it is asked to gather more than MOST."""
    receive = protocol.data_received

    def bounded(data: bytes) -> None:
        if len(protocol.receive_buffer or b"") + len(data) > MOST:
            protocol.receive_buffer = None
            protocol.disconnect_socket()
        else:
            receive(data)

    protocol.data_received = bounded


__all__ = ["MOST", "bound"]
