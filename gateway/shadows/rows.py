"""Shadows as rows of the small table `shadow`: device 0x00 kind [0x00 path] -> a list (protocol.md 3.4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from gateway.shadows.values import SCHEMA, Edit, Leaf, Meta, Origin, Phase, Progress, Rejection, Shadow

TABLE = "shadow"
META, DESIRED, EDIT, PROGRESS, LOST = "M", "D", "L", "J", "X"

Rows = dict[str, list[Any]]

_log = logging.getLogger("fieldpost.shadows")


def encode(shadow: Shadow) -> Rows:
    """All rows of a shadow."""
    device, meta = shadow.device, shadow.meta
    found: Rows = {
        f"{device}\0{META}": [
            meta.schema,
            meta.desired_ver,
            meta.full_ver,
            meta.reported_ver,
            meta.epoch,
            meta.edits,
            meta.bytes,
        ]
    }
    for path, leaf in shadow.desired.items():
        found[f"{device}\0{DESIRED}\0{path}"] = [leaf.value, leaf.ver, leaf.ts, leaf.origin.value, leaf.wrote]
    for path, edit in shadow.edits.items():
        row = [edit.value, edit.base_ver, edit.n, edit.ts, edit.who]
        found[f"{device}\0{EDIT}\0{path}"] = row + _progress(edit.progress)
    for path, progress in shadow.progress.items():
        found[f"{device}\0{PROGRESS}\0{path}"] = _progress(progress)
    for n, lost in shadow.lost.items():
        found[f"{device}\0{LOST}\0{n}"] = [lost.path, lost.ver, lost.phase.value, lost.code, lost.text, lost.n]
    return found


def _progress(one: Progress) -> list[Any]:
    return [one.phase.value, one.ver, one.code, one.text, one.tries, one.ts, one.told]


def changes(before: Shadow | None, after: Shadow) -> dict[str, list[Any] | None]:
    """What of the rows differs: key -> new row, None for one that goes."""
    old = encode(before) if before is not None else {}
    new = encode(after)
    # by their text: to Python 1 and true are equal, in a document they are not
    found: dict[str, list[Any] | None] = {key: row for key, row in new.items() if repr(old.get(key)) != repr(row)}
    found.update({key: None for key in old if key not in new})
    return found


class _Parts:
    """Rows of one device on their way to a Shadow."""

    def __init__(self) -> None:
        self.meta = Meta()
        self.desired: dict[str, Leaf] = {}
        self.edits: dict[str, Edit] = {}
        self.progress: dict[str, Progress] = {}
        self.lost: dict[int, Rejection] = {}

    def take(self, kind: str, path: str, row: list[Any]) -> None:
        if kind == META:
            self.meta = _meta(row)
        elif kind == DESIRED:
            self.desired[path] = Leaf(row[0], row[1], row[2], Origin(row[3]), row[4])
        elif kind == EDIT:
            self.edits[path] = Edit(row[0], row[1], row[2], row[3], row[4], _to_progress(row[5:]))
        elif kind == PROGRESS:
            self.progress[path] = _to_progress(row)
        elif kind == LOST:
            self.lost[int(path)] = Rejection(row[0], row[1], Phase(row[2]), *row[3:6])


def decode(rows: Mapping[str, Any]) -> dict[str, Shadow]:
    """Shadows of all rows. A row that cannot be read is left out and told."""
    found: dict[str, _Parts] = {}
    for key, row in rows.items():
        device, _, rest = key.partition("\0")
        kind, _, path = rest.partition("\0")
        try:
            found.setdefault(device, _Parts()).take(kind, path, row)
        except (TypeError, ValueError, IndexError):
            _log.warning("row %r of the shadow of %s is unreadable and counts as missing", f"{kind} {path}", device)
    return {
        device: Shadow(device, parts.meta, parts.desired, parts.edits, parts.progress, parts.lost)
        for device, parts in found.items()
    }


def _meta(row: list[Any]) -> Meta:
    if row[0] != SCHEMA:
        return Meta(schema=row[0])
    return Meta(*row)


def _to_progress(row: list[Any]) -> Progress:
    return Progress(Phase(row[0]), *row[1:7])
