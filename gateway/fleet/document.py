"""A desired document as a value: its leaves, its form on the wire, how changes are made to it (protocol.md 3.1).

Pure: no broker, no clock. The document at the broker is the truth; whoever changes it publishes the whole of it anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from gateway.canonical import canonical
from gateway.fleet.faults import FleetError
from gateway.fleet.names import path_fault, shadow_path
from gateway.nesting import nest
from gateway.uplink.codecs.decode import plain_payload

MAX_BYTES = 8_192
"""What a gateway takes unless it is configured otherwise."""
HARD_BYTES = 65_536
_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)

Edits = Mapping[str, Any]
"""Path to the new value; None takes the leaf out."""


class Leaf(Struct, frozen=True):
    """One desired value: `ver` is the document's version at which it was written, `ts` UTC ms of that, 0: not known."""

    value: Any
    ver: int
    ts: int = 0


class Document(Struct, frozen=True):
    """A whole desired document. `ver` is the greatest number given out; 0 is the document that was never written.

    `by` names the one writing of it, so that its writer knows it again; gateways ignore it as any unknown key.
    """

    ver: int = 0
    leaves: dict[str, Leaf] = field(default_factory=dict)
    by: str = ""

    def values(self) -> dict[str, Any]:
        return {path: leaf.value for path, leaf in self.leaves.items()}


class _Wire(Struct):
    v: int
    ver: int
    state: dict[str, Any]
    meta: dict[str, list[int]] | None = None
    by: Any = None


def parse_document(payload: bytes) -> Document | None:
    """None for what is no desired document of version 1."""
    wire = decode(payload, _Wire)
    if wire is None or wire.ver < 0:
        return None
    try:
        values = dict(flatten(wire.state))
    except ValueError:
        return None
    meta = wire.meta or {}
    leaves = {path: _leaf(value, meta.get(path), wire.ver) for path, value in values.items()}
    return Document(wire.ver, leaves, wire.by if isinstance(wire.by, str) else "")


def _leaf(value: Any, meta: list[int] | None, ver: int) -> Leaf:
    """A leaf without meta has the document's version."""
    if not meta:
        return Leaf(value, ver)
    return Leaf(value, min(meta[0], ver), meta[1] if len(meta) > 1 else 0)


def decode(payload: bytes, type_: type[Any]) -> Any:
    """A message of the control plane as a Struct with a field `v`; None for what is none of version 1."""
    plain = plain_payload(payload)
    if plain is None:
        return None
    try:
        message = msgspec.json.decode(plain, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return message if message.v == 1 else None


def flatten(state: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by path; arrays and empty objects are leaves. Raises ValueError for what is no path."""
    for key, value in state.items():
        path = f"{prefix}{key}"
        if "." in key or (fault := path_fault(path)) is not None:
            raise ValueError(f"{path!r} is no path" if "." in key else f"{path!r}: {fault}")
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{path}.")
        else:
            yield path, value


def render(document: Document) -> bytes:
    """As it is published, with the version and time of each leaf."""
    body: dict[str, Any] = {
        "v": 1,
        "ver": document.ver,
        "state": nest(document.values()),
        "meta": {path: [leaf.ver, leaf.ts] for path, leaf in document.leaves.items()},
    }
    return msgspec.json.encode(body | {"by": document.by} if document.by else body)


def fitting(document: Document, limit: int) -> bytes:
    """`render`ed. Raises FleetError 413 when the gateway would refuse it for its size."""
    payload = render(document)
    if len(payload) > min(limit, HARD_BYTES):
        raise FleetError(
            f"the desired document would have {len(payload)} bytes; {min(limit, HARD_BYTES)} are allowed"
            + (f" (a gateway may be configured for up to {HARD_BYTES})" if limit < HARD_BYTES else ""),
            code=413,
        )
    return payload


def checked_edits(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` by shadow path, groups taken apart. Raises FleetError 400 for what no leaf can hold, and for two edits
    of which one would take the other out.
    """
    edits: dict[str, Any] = {}
    for name, value in values.items():
        path = shadow_path(name)
        found = dict(_flat(path, value)) if isinstance(value, dict) and value else {path: value}
        for each, new in found.items():
            if each in edits:
                raise FleetError(f"{name!r} is given twice", code=400)
            edits[each] = _checked(each, new)
    for path in edits:
        if (below := next((other for other in edits if other.startswith(f"{path}.")), None)) is not None:
            raise FleetError(f"{path!r} cannot be a value and hold {below!r} at the same time", code=400)
    if not edits:
        raise FleetError("nothing to change", code=400)
    return edits


def _flat(path: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    try:
        yield from flatten(value, f"{path}.")
    except ValueError as error:
        raise FleetError(str(error), code=400) from error


def _checked(path: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise FleetError(f"{path}: {value} cannot be written", code=400)
    if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise FleetError(f"{path}: {value} is beyond 64 bits", code=400)
    if isinstance(value, list | tuple):
        return [_checked(path, each) for each in value]
    if isinstance(value, dict):
        return {str(key): _checked(path, each) for key, each in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise FleetError(f"{path}: a {type(value).__name__} cannot be written", code=400)


def edited(base: Document, edits: Edits, ver: int, ts: int) -> Document:
    """`base` with `edits` as version `ver`. A leaf that is set takes out those that it is a prefix of, and its
    prefixes; taking out a group takes out all below it.
    """
    assert ver > base.ver, "a version is given once"
    leaves = {path: leaf for path, leaf in base.leaves.items() if not any(touches(edit, path) for edit in edits)}
    for path, value in edits.items():
        if value is not None:
            leaves = {other: leaf for other, leaf in leaves.items() if not path.startswith(f"{other}.")}
            leaves[path] = Leaf(value, ver, ts)
    return Document(ver, dict(sorted(leaves.items())))


def touches(edit: str, path: str) -> bool:
    """Whether `path` is `edit` or below it."""
    return path == edit or path.startswith(f"{edit}.")


def rank(leaf: Leaf) -> tuple[int, bytes, int]:
    """Which of two leaves wins: the higher version, then the greater canonical bytes."""
    return leaf.ver, canonical(leaf.value), leaf.ts


def without_collisions(leaves: dict[str, Leaf]) -> dict[str, Leaf]:
    """No leaf is prefix of another: the later version stays, at equal ones the shorter path."""
    kept: dict[str, Leaf] = {}
    for path, leaf in sorted(leaves.items(), key=lambda item: (-item[1].ver, item[0])):
        if not any(touches(path, other) or touches(other, path) for other in kept):
            kept[path] = leaf
    return dict(sorted(kept.items()))
