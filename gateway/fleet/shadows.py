"""A device's shadow as a broker shows it: reported documents, rejections, and the difference to what is desired."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from gateway.canonical import canonical
from gateway.fleet.document import Document, decode, flatten

_CLOSE = 1e-6
"""Relative: float32 carries seven digits, and the tolerance of a tag is known to its gateway only."""


class Applied(Struct, frozen=True):
    """What became of a desired leaf at the gateway: pending, writing, verifying, then one of the ends."""

    state: str
    ver: int
    code: int = 0
    text: str = ""


class LocalEdit(Struct, frozen=True):
    """A value that somebody set at the gateway, offered for adoption."""

    value: Any
    base_ver: int
    n: int
    ts: int
    origin: str


class Reported(Struct, frozen=True):
    """A whole reported document. `values`, `times`, `local`, `apply` and `quality` (where it is not good) are by shadow
    path; times in UTC ms. `delta`: the paths that differ by the gateway's own word, None where it does not say.
    """

    ver: int
    epoch: int
    desired_ver: int
    polled: int | None
    values: dict[str, Any]
    times: dict[str, int]
    local: dict[str, LocalEdit]
    apply: dict[str, Applied] | None
    quality: dict[str, str] = field(default_factory=dict)
    delta: tuple[str, ...] | None = None


class Rejection(Struct, frozen=True):
    """Why a desired leaf is not applied. `edit`: what was lost is the local edit of this number."""

    path: str
    ver: int
    state: str
    code: int
    text: str
    ts: int | None = None
    edit: int | None = None


class Shadow(Struct, frozen=True, kw_only=True):
    """Both sides of a device. `desired` and `reported` are None where the broker has none.

    `delta`: desired values that the device does not have. `rejections`: of the reported document, and those that came
    while we looked. `unreadable`: what is retained there is no document.
    """

    gateway: str
    device: str
    desired: Document | None = None
    reported: Reported | None = None
    delta: dict[str, Any] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    unreadable: tuple[str, ...] = ()


class _ReportedWire(Struct):
    v: int
    ver: int
    state: dict[str, Any]
    epoch: int = 0
    desired_ver: int = 0
    polled: int | None = None
    meta: Any = None
    local: Any = None
    apply: Any = None
    quality: Any = None
    delta: Any = None


class _RejectedWire(Struct):
    v: int
    desired_ver: int
    state: str
    path: str | None = None
    code: int = 0
    text: str = ""
    ts: int | None = None
    edit: int | None = None


def parse_reported(payload: bytes) -> Reported | None:
    """None for what is no reported document of version 1. Optional parts of another shape are left out."""
    wire = decode(payload, _ReportedWire)
    if wire is None:
        return None
    try:
        values = dict(flatten(wire.state))
    except ValueError:
        return None
    times = {path: row[1] for path, row in _rows(wire.meta, (int, int)).items()}
    local = {path: LocalEdit(*row[:5]) for path, row in _rows(wire.local, (object, int, int, int, str)).items()}
    apply = None
    if isinstance(wire.apply, dict):
        apply = {path: Applied(*row[:4]) for path, row in _rows(wire.apply, (str, int), padded=(0, "")).items()}
    quality = wire.quality if isinstance(wire.quality, dict) else {}
    quality = {path: text for path, text in quality.items() if isinstance(text, str)}
    differs = tuple(wire.delta) if _texts(wire.delta) else None
    return Reported(wire.ver, wire.epoch, wire.desired_ver, wire.polled, values, times, local, apply, quality, differs)


def _texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(each, str) for each in found)


def _rows(found: Any, types: tuple[type, ...], padded: tuple[Any, ...] = ()) -> dict[str, list[Any]]:
    """Rows by path whose first cells have these types; `padded` stands in for further cells that are not there."""
    rows = found if isinstance(found, dict) else {}
    good = {}
    for path, row in rows.items():
        if not isinstance(row, list) or len(row) < len(types):
            continue
        if all(isinstance(cell, type_) for cell, type_ in zip(row, types, strict=False)):
            more = [
                cell if cell.__class__ is default.__class__ else default
                for cell, default in zip([*row[len(types) :], *padded], padded, strict=False)
            ]
            good[path] = [*row[: len(types)], *more]
    return good


def parse_rejection(payload: bytes) -> Rejection | None:
    """None for what is no rejection of version 1. An empty path means all leaves of that version."""
    wire = decode(payload, _RejectedWire)
    if wire is None:
        return None
    return Rejection(wire.path or "", wire.desired_ver, wire.state, wire.code, wire.text, wire.ts, wire.edit)


def ends(reported: Reported | None) -> list[Rejection]:
    """The leaves of a reported document that are not applied, as rejections."""
    applied = (reported.apply or {}) if reported is not None else {}
    return [
        Rejection(path, each.ver, each.state, each.code, each.text)
        for path, each in sorted(applied.items())
        if each.state in {"rejected", "failed", "expired"} or (each.state == "pending" and each.code)
    ]


def equal(one: Any, other: Any, tolerance: float | None = None) -> bool:
    """Whether two values are the same for a person: type-strict, but 1 and 1.0 are; numbers within the tolerance."""
    if _number(one) and _number(other):
        try:
            return math.isclose(one, other, rel_tol=0 if tolerance is not None else _CLOSE, abs_tol=tolerance or 0.0)
        except OverflowError:  # an integer that no float holds
            return bool(one == other)
    if _number(one) and isinstance(other, str):
        return other == str(one)  # integers beyond 2^53 travel as text
    return canonical(one) == canonical(other)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def delta(desired: Mapping[str, Any], reported: Reported | None, tolerance: float | None = None) -> dict[str, Any]:
    """Desired values that are not reported. What the gateway says is in effect is believed where a text stands for a
    number: it knows the tag's labels.
    """
    found: dict[str, Any] = {}
    for path, value in desired.items():
        got = reported.values.get(path) if reported is not None else None
        applied = (reported.apply or {}).get(path) if reported is not None else None
        labelled = isinstance(value, str) and _number(got) and applied is not None and applied.state == "ok"
        if got is None or not (labelled or equal(value, got, tolerance)):
            found[path] = value
    return found


def differing(desired: Document | None, reported: Reported | None) -> dict[str, Any]:
    """Desired values that the device does not have: by the word of the gateway, which knows tolerances and labels,
    where it is about this document or a later one; else computed.
    """
    if desired is None:
        return {}
    values = desired.values()
    if reported is None or reported.delta is None or reported.desired_ver < desired.ver:
        return delta(values, reported)
    return {path: value for path, value in values.items() if path in reported.delta}
