"""Desired documents and patches as they come, rejections as they go (protocol.md 1.3). Unknown keys are ignored."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.shadows import paths
from gateway.shadows.values import Leaf, Origin, Rejection, ShadowError

_LARGEST = 2**53 - 1
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


class DesiredMessage(msgspec.Struct, frozen=True):
    """A whole desired document. `meta`: path -> [ver, ts]."""

    v: int
    state: dict[str, Any]
    ver: int | None = None
    meta: dict[str, list[Any]] | None = None


class PatchMessage(msgspec.Struct, frozen=True):
    """A change of some leaves; null deletes."""

    v: int
    state: dict[str, Any]
    ver: int | None = None
    if_ver: int | None = None
    rid: str | None = None


class Whole(msgspec.Struct, frozen=True):
    """A whole document, flattened. `own_versions`: it came with `meta`."""

    ver: int
    leaves: dict[str, Leaf]
    own_versions: bool


class Patch(msgspec.Struct, frozen=True):
    """A patch, flattened: null is a value of None."""

    values: dict[str, Any]
    ver: int | None
    if_ver: int | None
    rid: str | None


def parse_document(payload: bytes, now: int, *, limit: int = paths.HARD_BYTES * 2) -> Whole:
    """Raises ShadowError 400 or 413."""
    message = _decode(payload, DesiredMessage, limit)
    if message.ver is None:
        raise ShadowError("a desired document has a `ver`", code=400)
    _version(message.ver)
    values = paths.flatten(message.state)
    leaves: dict[str, Leaf] = {}
    for path, value in values.items():
        if value is None:
            continue  # a document says null for nothing
        ver, ts = message.ver, now
        if message.meta is not None and path in message.meta:
            ver, ts = _stamp(message.meta[path], path)
        if ver > message.ver:
            raise ShadowError(f"{path!r} has version {ver}, the document only {message.ver}", code=400, path=path)
        leaves[path] = Leaf(value, ver, ts, Origin.CLOUD, ver)
    return Whole(message.ver, leaves, message.meta is not None)


def parse_patch(payload: bytes, *, limit: int = paths.HARD_BYTES * 2) -> Patch:
    """Raises ShadowError 400 or 413."""
    message = _decode(payload, PatchMessage, limit)
    for number in (message.ver, message.if_ver):
        if number is not None:
            _version(number, least=0)
    if message.rid is not None and not _ID.match(message.rid):
        raise ShadowError("`rid` is an id of up to 64 letters, digits, _ and -", code=400)
    return Patch(paths.flatten(message.state), message.ver, message.if_ver, message.rid)


def _decode(payload: bytes, form: type[Any], limit: int) -> Any:
    if len(payload) > limit:
        raise ShadowError(f"{len(payload)} bytes; at most {limit} are read", code=413)
    try:
        message = msgspec.json.decode(payload, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ShadowError(f"not a document of version 1: {error}", code=400) from None
    if message.v != 1:
        raise ShadowError(f"version {message.v} is not known here", code=400)
    return message


def _version(number: int, least: int = 1) -> None:
    if not least <= number <= _LARGEST:
        raise ShadowError(f"a version is a whole number from {least} to 2^53, not {number}", code=400)


def _stamp(row: list[Any], path: str) -> tuple[int, int]:
    if len(row) < 2 or not all(type(each) is int and 0 <= each <= _LARGEST for each in row[:2]) or row[0] < 1:
        raise ShadowError(f"`meta` of {path!r} is not [version, UTC ms]", code=400, path=path)
    return row[0], row[1]


def rejected(rejection: Rejection, ts: int) -> dict[str, Any]:
    """The body of a message on `rejected`. `edit` is there when it is about a local edit that was lost."""
    body = {
        "v": 1,
        "path": rejection.path,
        "desired_ver": rejection.ver,
        "state": rejection.phase.value,
        "code": rejection.code,
        "text": rejection.text,
        "ts": ts,
    }
    return {**body, "edit": rejection.n} if rejection.n else body
