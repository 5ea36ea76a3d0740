"""Messages of the twin topics: what comes in is checked, what goes out is made here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.uplink.twins.port import Side, Twin, TwinError, Wish
from gateway.uplink.twins.texts import is_key

BASE = "$hw/events/device"
MOST_BYTES = 64 * 1024
MOST_TWINS = 500
_MOST_ID = 256
STATES = ("ok", "online", "offline", "unhealthy", "unknown")


class Update(Struct, frozen=True):
    """A `twin/update`: wishes, and actual values that somebody says, by name."""

    wishes: dict[str, Wish]
    actual: dict[str, str]


def body_of(payload: bytes) -> dict[str, Any]:
    """A message as an object in which each key stands once. Raises TwinError 400."""
    body = _object_of(payload)
    try:  # of two equal keys a decoder keeps one, and says nothing
        json.loads(payload or b"{}", object_pairs_hook=_once, parse_int=float)
    except (ValueError, RecursionError):
        raise TwinError("the message is not JSON", code=400) from None
    return body


def _once(pairs: list[tuple[str, Any]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        twice = next(key for at, key in enumerate(keys) if key in keys[:at])
        raise TwinError(f"the key {twice[:40]!r} stands twice in one object", code=400)


def _object_of(payload: bytes) -> dict[str, Any]:
    if len(payload) > MOST_BYTES:
        raise TwinError(f"a message has at most {MOST_BYTES} bytes", code=400)
    try:
        body = msgspec.json.decode(payload or b"{}")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise TwinError("the message is not JSON", code=400) from None
    if not isinstance(body, dict):
        raise TwinError("the message is no object", code=400)
    return body


def event_id(payload: bytes) -> str:
    """What a result echoes; empty where the message has none that can be."""
    try:
        found = _object_of(payload).get("event_id")
    except TwinError:
        return ""
    return found if isinstance(found, str) and len(found) <= _MOST_ID else ""


def update_of(payload: bytes) -> Update:
    """Raises TwinError 400."""
    twins = body_of(payload).get("twin")
    if not isinstance(twins, dict) or not twins:
        raise TwinError("`twin` is missing: {name: {expected: {value: text}}}", code=400)
    if len(twins) > MOST_TWINS:
        raise TwinError(f"a message has at most {MOST_TWINS} twins", code=400)
    wishes: dict[str, Wish] = {}
    actual: dict[str, str] = {}
    for name, twin in twins.items():
        if not is_key(name):
            raise TwinError(f"{name[:40]!r} is no name of a twin", code=400)
        if twin is None:
            wishes[name] = Wish(None)
            continue
        if not isinstance(twin, dict):
            raise TwinError(f"twin {name} is no object", code=400)
        wanted, said = _value(name, twin, "expected"), _value(name, twin, "actual")
        if wanted is not None:
            wishes[name] = Wish(wanted, _version(name, twin))
        if said is not None:
            actual[name] = said
    return Update(wishes, actual)


def _value(name: str, twin: Mapping[str, Any], side: str) -> str | None:
    part = twin.get(side)
    if part is None:
        return None
    value = part.get("value") if isinstance(part, dict) else None
    if not isinstance(value, str):
        raise TwinError(f"twin {name}: `{side}` is {{value: text}}", code=400)
    return value


def _version(name: str, twin: Mapping[str, Any]) -> int | None:
    """The version of `expected` that the writer has seen."""
    written = twin.get("expected_version")
    cloud = written.get("cloud") if isinstance(written, dict) else None
    if written is None or (isinstance(written, dict) and cloud is None):
        return None
    if not isinstance(cloud, int) or isinstance(cloud, bool):
        raise TwinError(f"twin {name}: `expected_version` is {{cloud: number, edge: number}}", code=400)
    return cloud


def state_of(payload: bytes) -> str:
    """The state that a `state/update` tells. Raises TwinError 400."""
    body = body_of(payload)
    device = body.get("device")
    state = device.get("state") if isinstance(device, dict) else body.get("state")
    if not isinstance(state, str) or state.lower() not in STATES:
        raise TwinError(f"a state is one of {', '.join(STATES)}", code=400)
    return state.lower()


def failed(event: str, now: int, error: TwinError) -> dict[str, Any]:
    return {"event_id": event, "timestamp": now, "code": error.code, "reason": str(error)}


def twins_in(event: str, now: int, twins: Iterable[Twin]) -> dict[str, Any]:
    return {"event_id": event, "timestamp": now, "twin": {twin.name: shown(twin) for twin in twins}}


def shown(twin: Twin) -> dict[str, Any]:
    """A twin as KubeEdge writes it."""
    body: dict[str, Any] = {}
    for name, side in (("expected", twin.expected), ("actual", twin.actual)):
        if side is not None:
            body[name] = _side(side)
    body["optional"] = twin.optional
    body["metadata"] = {"type": twin.type}
    if twin.expected is not None:
        body["expected_version"] = {"cloud": twin.expected.ver, "edge": 0}
    if twin.actual is not None:
        body["actual_version"] = {"cloud": 0, "edge": twin.actual.ver}
    return body


def _side(side: Side) -> dict[str, Any]:
    return {"value": side.value, "metadata": {"timestamp": side.ts}}


def changed(before: Twin | None, after: Twin | None) -> dict[str, Any]:
    """An entry of a document: a twin before and after."""
    return {
        "last": None if before is None else shown(before),
        "current": None if after is None else shown(after),
    }


def delta_in(now: int, twins: Iterable[Twin]) -> dict[str, Any]:
    """What is not as it is wanted."""
    differing = [twin for twin in twins if twin.differs and twin.expected is not None]
    body = twins_in("", now, differing)
    body["delta"] = {twin.name: twin.expected.value for twin in differing if twin.expected is not None}
    return body


def state_in(event: str, now: int, device: str, state: str) -> dict[str, Any]:
    body: dict[str, Any] = {"name": device, "state": state}
    if state == "online":
        body["last_online"] = now
    return {"event_id": event, "timestamp": now, "device": body}
