"""The one place that opens LMDB: sizes, databases, counting of pages, and telling its errors apart.

lib_version=0 always: files of LMDB 0.9 and 1.0 cannot read each other.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
from msgspec import Struct

from gateway.errors import StoreDamaged, StoreError, StoreFull
from gateway.journal import STREAMS

FULL_ERRORS = (lmdb.MapFullError, lmdb.DiskError, lmdb.TxnFullError)
DAMAGE_ERRORS = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
    lmdb.PageFullError,
    lmdb.CursorFullError,
)

_NO_WRITE = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO))

_META = struct.Struct("<IIQQ")
_META_AT = 16
_DB_SIZE = 48
_MAGIC = 0xBEEFC0DE
_TAIL = struct.Struct("<QQ")


class Environment:
    """LMDB environment 1: one database per stream and `table` for all small tables."""

    def __init__(self, path: Path, map_size: int) -> None:
        self.path = path
        self.map_size = map_size
        self.damage = ""
        self.on_damage: Callable[[], None] = _nobody
        self._open()

    def _open(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.env: Any = lmdb.open(
            str(self.path),
            map_size=self.map_size,
            max_dbs=len(STREAMS) + 1,
            lib_version=0,
            readahead=False,
            meminit=False,
        )
        try:
            self.table: Any = self.env.open_db(b"table")
            self.streams: dict[str, Any] = {name: self.env.open_db(name.encode()) for name in STREAMS}
        except BaseException:
            self.env.close()
            raise
        self.page_size: int = self.env.stat()["psize"]

    def write(self, parent: Any = None) -> Any:
        """A write transaction; only on the writer thread."""
        return self.env.begin(write=True, parent=parent, db=self.table)

    @contextlib.contextmanager
    def read(self) -> Iterator[Any]:
        """A read transaction with memoryviews: copy out and close, never across an await.

        Raises StoreDamaged for a broken tree, and remembers it: the next commit ends the store.
        """
        try:
            with self.env.begin(buffers=True, db=self.table) as tx:
                yield tx
        except (*DAMAGE_ERRORS, lmdb.BadTxnError) as err:
            self.damage = str(err)
            self.on_damage()
            raise StoreDamaged(f"the store's file is damaged: {err}") from err

    def used_bytes(self, tx: Any) -> int:
        """Bytes of the pages in use by journal and tables, as this transaction sees them."""
        pages = 0
        for db in (self.table, *self.streams.values()):
            stat = tx.stat(db)
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return int(pages * self.page_size)

    def file_bytes(self) -> int:
        """Raises StoreError when somebody took the file away."""
        file = self.path / "data.mdb"
        try:
            return file.stat().st_size
        except OSError as err:
            raise StoreError(f"the store's file {file} is gone or cannot be read: {err.strerror}") from err

    def grow(self) -> None:
        """Last resort for a full map: 25 % more. No transaction may be open in this process."""
        self.map_size = (self.map_size + self.map_size // 4) // self.page_size * self.page_size
        self.env.set_mapsize(self.map_size)

    def reopen(self) -> None:
        """After an error that LMDB calls fatal for the handle (a failed write of its meta page)."""
        self.env.close()
        self._open()

    def close(self) -> None:
        self.env.close()


class Length(Struct, frozen=True):
    """What the file's own meta page says: bytes that must be there, against bytes that are."""

    expected: int
    found: int

    @property
    def is_short(self) -> bool:
        return self.found < self.expected


def check_length(path: Path) -> Length | None:
    """Compare the file with its meta pages without mapping it (a mapped, truncated file is a SIGBUS).

    None when there is no file. Raises StoreDamaged when no meta page can be read.
    """
    data = path / "data.mdb"
    if not data.exists():
        return None
    size = data.stat().st_size
    if size == 0:
        return None
    with data.open("rb") as file:
        first = file.read(4096)
        metas = [_meta(first)]
        page = metas[0][0] if metas[0] else 4096
        file.seek(page)
        metas.append(_meta(file.read(4096)))
    known = [meta for meta in metas if meta is not None]
    if not known:
        raise StoreDamaged(f"{data} has no valid meta page")
    page, last_page, _ = max(known, key=lambda meta: meta[2])
    return Length((last_page + 1) * page, size)


def _meta(raw: bytes) -> tuple[int, int, int] | None:
    """(page size, last page, transaction) of a meta page, None when it is none."""
    tail_at = _META_AT + _META.size + 2 * _DB_SIZE
    if len(raw) < tail_at + _TAIL.size:
        return None
    magic, _version, _address, _map = _META.unpack_from(raw, _META_AT)
    if magic != _MAGIC:
        return None
    (page,) = struct.unpack_from("<I", raw, _META_AT + _META.size)
    last_page, transaction = _TAIL.unpack_from(raw, tail_at)
    return (page, last_page, transaction) if 512 <= page <= 65536 else None


def _nobody() -> None:
    """Nobody is to be told yet."""


def is_no_room(error: lmdb.Error) -> bool:
    """Whether nothing can be written now, and trying later may help: disk, quota or map full, remounted read-only.

    LMDB has an error of its own for a full disk only; the others are told by the system's text.
    """
    return isinstance(error, (*FULL_ERRORS, lmdb.ReadonlyError)) or str(error).endswith(_NO_WRITE)


def translate(error: lmdb.Error) -> StoreError:
    """The error of ours that an LMDB error means."""
    if is_no_room(error):
        return StoreFull(f"disk or map is full: {error}")
    if isinstance(error, DAMAGE_ERRORS):
        return StoreDamaged(f"the store's file is damaged: {error}")
    return StoreError(str(error))
