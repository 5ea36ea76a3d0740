"""Where a channel's settings lead to, and how they are made to lead elsewhere: through a proxy, or to nobody."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from gateway.model import ChannelSpec

_MOST_WAITING = 8
_TAKEN_S = 0.05
"""A connect on this machine that is taken is taken at once."""


def target(settings: Any) -> tuple[str, int] | None:
    """Host and port of a channel's settings: of `url`, else `host` and `port`; None where there are none."""
    url = getattr(settings, "url", None)
    if isinstance(url, str):
        try:
            parts = urlsplit(url)
            found = (parts.hostname, parts.port)
        except ValueError:
            return None
    else:
        found = (getattr(settings, "host", None), getattr(settings, "port", None))
    host, port = found
    return (host, port) if isinstance(host, str) and isinstance(port, int) and port else None


def reaching(channel: ChannelSpec, port: int, host: str = "127.0.0.1") -> ChannelSpec:
    """The channel with another host and port in its settings. Raises ValueError where they have neither."""
    settings = channel.settings
    url = getattr(settings, "url", None)
    if isinstance(url, str):
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return replace(
            channel, settings=replace(settings, url=parts._replace(netloc=f"{user}{at}{host}:{port}").geturl())
        )
    if hasattr(settings, "host") and hasattr(settings, "port"):
        return replace(channel, settings=replace(settings, host=host, port=port))
    raise ValueError("the channel's settings have neither url nor host and port")


def nobody(*, udp: bool = False) -> int:
    """A port of this machine where nobody listens."""
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def black_hole(*, udp: bool = False) -> Iterator[int | None]:
    """A port of this machine that takes everything and never answers: over TCP not even the connect, because its row
    of waiting connections is full. None where the system lets everybody wait.
    """
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM))
        hole.bind(("127.0.0.1", 0))
        if udp:
            yield int(hole.getsockname()[1])
            return
        hole.listen(0)
        full = False
        for _ in range(_MOST_WAITING):
            waiting = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            waiting.setblocking(False)
            waiting.connect_ex(hole.getsockname())
            if not select.select([], [waiting], [], _TAKEN_S)[1]:
                full = True
                break
        yield int(hole.getsockname()[1]) if full else None
