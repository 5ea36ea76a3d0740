"""Messages as people read them: each request with its answer's time, and what was refused.

On a protected connection the bytes are secret; what is shown is the message before it is encrypted, in its own coding.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from asyncua.observer import Observer
from asyncua.ua.ua_binary import struct_to_binary

from drivers.opcua.decoding import Publication
from drivers.opcua.status import words
from gateway.clock import Clock
from gateway.driver import Frame

_SECRET = {"ActivateSessionRequest"}
_MOST_BYTES = 4096
_COUNTS = {
    "ReadRequest": ("NodesToRead", "nodes"),
    "WriteRequest": ("NodesToWrite", "nodes"),
    "BrowseRequest": ("NodesToBrowse", "nodes"),
    "CallRequest": ("MethodsToCall", "methods"),
    "CreateMonitoredItemsRequest": ("ItemsToCreate", "items"),
}


class MessageTrace(Observer):  # type: ignore[misc]  # asyncua is Any to the type checker
    """asyncua tells it of each request; `listener` is called for the request and for its end."""

    def __init__(self, listener: Callable[[Frame], None], clock: Clock) -> None:
        self._listener = listener
        self._clock = clock

    @contextlib.contextmanager
    def observe_request(self, request: Any) -> Iterator[None]:
        """Around a request, from before it is sent until it is answered."""
        name = type(request).__name__
        self._tell(sending=True, data=_bytes(name, request), text=_text(name, request))
        begin = time.monotonic()
        try:
            yield
        except BaseException as error:
            self._tell(sending=False, data=b"", text=f"{_plain(name)}: {_why(error)}")
            raise
        self._tell(sending=False, data=b"", text=f"{_plain(name)} answered; {(time.monotonic() - begin) * 1000:.1f} ms")

    def notified(self, found: Publication, data: bytes) -> None:
        """A message of a subscription has come."""
        parts = [f"{found.values} values"] if found.values else []
        parts += [f"{len(found.events)} lists of events"] if found.events else []
        text = f"subscription {found.subscription}: {', '.join(parts) or 'keep-alive'}"
        self._tell(sending=False, data=data[:_MOST_BYTES], text=text)

    def _tell(self, *, sending: bool, data: bytes, text: str) -> None:
        self._listener(Frame(self._clock.wall_ms(), sending, data, text))


def _plain(name: str) -> str:
    return name.removesuffix("Request")


def _bytes(name: str, request: Any) -> bytes:
    if name in _SECRET:
        return b""
    try:
        return bytes(struct_to_binary(request))[:_MOST_BYTES]
    except Exception:  # a request that cannot be coded fails where it is sent
        return b""


def _text(name: str, request: Any) -> str:
    field, what = _COUNTS.get(name, ("", ""))
    found = getattr(request.Parameters, field, None) if field else None
    return f"{_plain(name)} x {len(found)} {what}" if found is not None else _plain(name)


def _why(error: BaseException) -> str:
    code = getattr(error, "code", None)
    return words(code) if isinstance(code, int) else str(error) or type(error).__name__


__all__ = ["MessageTrace"]
