"""Reads a whole store in a process of its own: a damaged file may end that process by a signal, and that is an answer.

    python -m gateway.store.verify DIRECTORY

Exit status 0: the file can be walked; a JSON object on stdout lists segments whose check fails.
Status 1: the tree or a small table is damaged. A signal (SIGBUS, SIGSEGV, SIGABRT): the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
from msgspec import Struct

from gateway.errors import StoreDamaged
from gateway.journal import STREAMS
from gateway.store import rows
from gateway.store.segments import read_segment, split_segment_key


class Verdict(Struct, frozen=True):
    """`damaged`: segments to drop, as (stream, epoch, first)."""

    ok: bool
    text: str
    damaged: tuple[tuple[str, int, int], ...] = ()


def verify_in_child(path: Path, timeout_s: float = 600.0) -> Verdict:
    """Walk the store in a child process."""
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "gateway.store.verify", str(path)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(ok=False, text=f"verifying did not end within {timeout_s:.0f} s")
    if child.returncode < 0:
        return Verdict(ok=False, text=f"reading it ends with signal {-child.returncode}")
    if child.returncode != 0:
        lines = child.stderr.strip().splitlines()
        return Verdict(ok=False, text=lines[-1] if lines else f"exit status {child.returncode}")
    damaged = tuple((stream, epoch, first) for stream, epoch, first in json.loads(child.stdout)["damaged"])
    return Verdict(ok=True, text=f"{len(damaged)} damaged segments" if damaged else "no damage", damaged=damaged)


def walk(path: Path) -> list[tuple[str, int, int]]:
    """All segments that fail their check. Raises for a damaged tree or small table."""
    env: Any = lmdb.open(str(path), readonly=True, lock=False, max_dbs=len(STREAMS) + 1, lib_version=0)
    damaged: list[tuple[str, int, int]] = []
    with env.begin(buffers=True) as tx:
        table = env.open_db(b"table", txn=tx, create=False)
        entries = 0
        for key, value in tx.cursor(db=table):
            entries += 1
            table_name = bytes(key).split(b"\0", 1)[0]
            if table_name not in {b"cursor", b"gap", b"row"}:  # those have a way to go on, see loading.py
                rows.unpack(value)
        _count(tx, table, "table", entries)
        for stream in STREAMS:
            db = env.open_db(stream.encode(), txn=tx, create=False)
            damaged.extend(_walk_stream(tx, db, stream))
    with Path(os.devnull).open("wb") as nowhere:
        env.copyfd(nowhere.fileno(), compact=True)  # also walks the list of free pages, which a writer reads first
    env.close()
    return damaged


def _walk_stream(tx: Any, db: Any, stream: str) -> list[tuple[str, int, int]]:
    damaged: list[tuple[str, int, int]] = []
    entries = 0
    before = b""
    for raw_key, value in tx.cursor(db=db):
        entries += 1
        key = bytes(raw_key)
        if len(key) != 16 or key <= before:
            raise StoreDamaged(f"keys of {stream} are out of order")
        before = key
        epoch, first = split_segment_key(key)
        try:
            segment = read_segment(value)
            if (segment.stream, segment.epoch, segment.first) != (stream, epoch, first):
                raise StoreDamaged("a segment stands under a key that is not its own")  # noqa: TRY301
        except Exception:
            damaged.append((stream, epoch, first))
    _count(tx, db, stream, entries)
    return damaged


def _count(tx: Any, db: Any, name: str, entries: int) -> None:
    expected = tx.stat(db)["entries"]
    if entries != expected:
        raise StoreDamaged(f"{name} has {entries} rows where {expected} are recorded")


def main() -> int:
    try:
        damaged = walk(Path(sys.argv[1]))
    except (lmdb.Error, StoreDamaged, ValueError) as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return 1
    print(json.dumps({"damaged": damaged}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
