"""What the kernel says of its clock (adjtimex), and the first IPv4 address of an interface: two calls of the system."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Any

_STA_NANO = 0x2000
_SIOCGIFADDR = 0x8915


def kernel_clock() -> dict[str, Any]:
    """`offset` and `max_error` in seconds; empty where the kernel does not tell."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(256)  # struct timex; modes 0: only read
        if libc.adjtimex(buffer) < 0:
            return {}
    except (OSError, AttributeError):
        return {}
    long_, pad = ("q", 4) if ctypes.sizeof(ctypes.c_long) == 8 else ("l", 0)
    offset, _, max_error, _, status = struct.unpack_from(f"={pad}x{4 * long_}i", buffer, 4)
    return {"offset": offset / (1e9 if status & _STA_NANO else 1e6), "max_error": max_error / 1e6}


def ipv4_of(name: str) -> str | None:
    """The first address of an interface of this machine."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])
