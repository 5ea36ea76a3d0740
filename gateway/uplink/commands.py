"""Commands and results as messages: what comes in is checked, what goes out is made here (protocol.md 1.3)."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

import msgspec

from gateway.errors import DeviceUnavailable, GatewayError, RequestRefused

MAX_PAYLOAD = 64 * 1024
"""Bytes of one command; larger ones are answered 413."""
MAX_DEPTH = 5
"""Levels of objects and lists in `args`."""
ACCEPTED = "accepted"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_REJECTED = frozenset((400, 403, 404, 409, 413, 422, 425, 429))


_Milliseconds = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class CommandMessage(msgspec.Struct, frozen=True):
    """One command. `exp` UTC ms, `ttl` ms from arrival on the boot clock; the earlier of them ends it."""

    v: int
    rid: str
    op: str
    device: str | None = None
    args: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies a default
    exp: _Milliseconds | None = None
    ttl: _Milliseconds | None = None
    origin: str = ""

    @property
    def hash(self) -> str:
        """Names the request: 16 hex digits over all of it."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


def is_rid(text: str) -> bool:
    """Whether it can name a command."""
    return _ID.match(text) is not None


def parse_command(payload: bytes) -> CommandMessage | None:
    """None for what is not a command of version 1."""
    try:
        command = msgspec.json.decode(payload, type=CommandMessage)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # ValueError: an integer of thousands of digits
        return None
    return command if command.v == 1 and is_rid(command.rid) else None


def too_deep(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether objects and lists are nested in more than `levels`."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(too_deep(each, levels - 1) for each in inner)


def body(code: int, rest: dict[str, Any]) -> dict[str, Any]:
    """The body of a final result; the state follows from the code."""
    if code == 200:
        state = "done"
    elif code == 408:
        state = "expired"
    else:
        state = "rejected" if code in _REJECTED else "failed"
    return {"state": state, "code": code, **rest}


def refusal(error: Exception) -> dict[str, Any]:
    """The result that an error of an op means."""
    if isinstance(error, RequestRefused):
        return body(422, {"text": str(error)})
    if isinstance(error, DeviceUnavailable):
        return body(504, {"text": str(error)})
    if isinstance(error, GatewayError):
        return body(int(getattr(error, "code", 500)), {"text": str(error)})
    return body(500, {"text": f"{type(error).__name__}: {error}"})


def message(rid: str, ts: int, content: dict[str, Any]) -> bytes:
    """A result as it is published and kept."""
    try:
        return msgspec.json.encode({"v": 1, "rid": rid, "ts": ts, **content})
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        broken = body(500, {"text": f"the answer cannot be written as JSON: {error}"})
        return msgspec.json.encode({"v": 1, "rid": rid, "ts": ts, **broken})


def fitting(result: bytes, limit: int) -> bytes:
    """The result itself, or without what makes it longer than `limit` bytes: a broker would end the connection."""
    if len(result) <= limit:
        return result
    whole = msgspec.json.decode(result)
    short = {key: whole[key] for key in ("v", "rid", "ts", "state", "code")}
    short["text"] = f"the answer has {len(result)} bytes, this uplink carries {limit}"
    return msgspec.json.encode(short)


def named_tags(op: str, args: dict[str, Any]) -> list[str]:
    """Paths of the tags that a command names."""
    named: Any = args.get("values") if op in {"write", "force"} else args.get("tags")
    return [name for name in named if isinstance(name, str)] if isinstance(named, dict | list) else []
