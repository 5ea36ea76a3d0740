"""The local socket's language: one JSON object a line, both ways. Shared by server and clients.

Request `{"id":1,"op":"status","args":{}}`. Answer `{"id":1,"ok":true,"out":{...}}` or
`{"id":1,"ok":false,"code":404,"text":"..."}` with the codes of protocol.md 1.3. A streaming op sends
`{"id":1,"item":{...}}` lines, `{"id":1,"dropped":3}` where a slow reader lost items, and ends with
`{"id":1,"end":true}`. The built-in op `cancel` with args `{"id":1}` ends a stream.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import GatewayError

SOCKET_NAME = "fieldpost.sock"
MAX_REQUEST = 256 * 1024
"""Bytes of one request line."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer line that a client takes: 5,000 tags are below 1 MB."""
_SUN_PATH = 107  # bytes of sockaddr_un.sun_path without the final zero (unix(7))


class OpError(GatewayError):
    """An op that was refused or failed; a handler raises it, a client gets it. `code` as in protocol.md 1.3."""

    def __init__(self, text: str, *, code: int = 500) -> None:
        super().__init__(text)
        self.code = code


class NotRunning(GatewayError):
    """Nobody listens at the socket: no gateway runs with this state directory, or it may not be reached."""


class Request(msgspec.Struct, frozen=True):
    """One request line. `id` is the caller's own and comes back in each line of the answer."""

    id: int | str
    op: str
    args: dict[str, Any] = {}


def encode(message: dict[str, Any]) -> bytes:
    """One line. Bytes become base64, NaN becomes null; a value that JSON cannot carry raises TypeError."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises OpError 400 for anything that is not a request."""
    try:
        return msgspec.json.decode(line, type=Request)
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise OpError(f"not a request: {err}", code=400) from err


def decode_message(line: bytes) -> dict[str, Any]:
    """A line from the server. Raises OpError when it is not an object."""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise OpError(f"the gateway sent something that is not an answer: {err}", code=500) from err


@contextlib.contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address for `path` that fits into sockaddr_un, however deep the state directory is."""
    if len(os.fsencode(path)) <= _SUN_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
