"""The mirror: a small file outside the store that remembers how far the store had come.

A store that is behind its mirror went back in time: it was restored from a copy, and numbers that it would give next
have been given before. A store that is lost leaves its last numbers here, so that the loss can be told exactly.

It is written after each commit without a sync (no flash wear; the page cache survives a killed process) and synced at
open, at close and with each checkpoint. Two slots in turn, each with a CRC: a torn write leaves the older one.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gateway.store.state import State

SLOT = 16_384
_log = logging.getLogger("fieldpost.store")


class Remembered(Struct, frozen=True):
    """What the mirror knows. `floors`: consumer, stream and epoch to the number up to which all is done."""

    serial: int
    openings: int
    epoch: int
    boot: str
    clean: bool
    next: dict[str, int]
    dict_no: int = 0
    highest_alias: int = 0
    past: dict[int, dict[str, int]] = field(default_factory=dict)
    consumers: dict[str, list[str]] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)

    def floor(self, consumer: str, stream: str, epoch: int) -> int:
        return self.floors.get(f"{consumer}/{stream}/{epoch}", 0)

    def epochs(self) -> dict[int, dict[str, int]]:
        """Next numbers of each epoch that is remembered, the current one last."""
        return {**self.past, self.epoch: self.next}

    def is_exact(self, boot: str) -> bool:
        """Whether no number above `next` can have been handed over: closed cleanly, or the same boot still runs."""
        return self.clean or self.boot == boot


class Mirror:
    """The file, open for the life of the store."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot
        self._descriptor = -1
        self._slot = 0
        self.failed = False

    def read(self) -> Remembered | None:
        """The newest slot whose CRC fits; None when there is none."""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        slots = [_parse(raw[:SLOT]), _parse(raw[SLOT : 2 * SLOT])]
        found = [(slot.openings, slot.serial, i, slot) for i, slot in enumerate(slots) if slot is not None]
        if not found:
            return None
        newest = max(found, key=lambda one: one[:3])
        self._slot = 1 - newest[2]
        return newest[3]

    def open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        if os.fstat(self._descriptor).st_size < 2 * SLOT:
            os.pwrite(self._descriptor, bytes(2 * SLOT), 0)  # real blocks: later writes need no room

    def write(self, state: State, *, clean: bool = False, sync: bool = False) -> None:
        """Remember a committed state. A failure is remembered and logged once, never raised."""
        if self._descriptor < 0:
            return
        try:
            os.pwrite(self._descriptor, form(state, self._boot, clean=clean), self._slot * SLOT)
            self._slot = 1 - self._slot
            if sync:
                os.fdatasync(self._descriptor)
            self.failed = False
        except OSError as err:
            if not self.failed:
                _log.warning("the mirror of the store cannot be written: %s", err)
            self.failed = True

    def sync(self) -> None:
        if self._descriptor >= 0:
            try:
                os.fdatasync(self._descriptor)
            except OSError as err:
                _log.warning("the mirror of the store cannot be synced: %s", err)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def form(state: State, boot: str, *, clean: bool) -> bytes:
    """One slot of the file: what a mirror of this state says."""
    floors = {}
    for (consumer, stream, epoch), done in state.cursors.items():
        if done and done[0][0] == 1:
            # What only a waiting gap record covers is not told yet: with the store that record would be lost too.
            waiting = [gap.first - 1 for gap in state.gaps.get((consumer, stream, epoch), ()) if gap.first]
            floors[f"{consumer}/{stream}/{epoch}"] = min([done[0][1], *waiting])
    document: dict[str, Any] = {
        "serial": state.serial,
        "openings": state.openings,
        "epoch": state.epoch,
        "boot": boot,
        "clean": clean,
        "next": state.next,
        "dict_no": state.dict_no,
        "highest_alias": state.highest_alias,
        "past": state.past,
        "consumers": {row.name: list(row.streams) for row in state.consumers.values() if row.required},
        "floors": floors,
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    if len(body) > SLOT - 9:
        body = json.dumps({**document, "past": {}, "consumers": {}, "floors": {}}, separators=(",", ":")).encode()
    return b"%08x\n" % zlib.crc32(body) + body + b"\n"


def _parse(raw: bytes) -> Remembered | None:
    lines = raw.split(b"\n", 2)
    if len(lines) != 3 or lines[0] != b"%08x" % zlib.crc32(lines[1]):
        return None
    try:
        document = json.loads(lines[1])
        document["past"] = {int(epoch): following for epoch, following in document["past"].items()}
        return Remembered(**document)
    except (ValueError, TypeError, KeyError):
        return None
