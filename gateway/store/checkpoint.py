"""Environment 2: the last value of each tag, written every minute and at stop.

It is a convenience: it may be older than the journal, and a damaged one is thrown away.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lmdb

from gateway.errors import StoreDamaged, StoreFull
from gateway.store import rows
from gateway.store.environment import check_length, is_no_room, translate

MAP_SIZE = 64 << 20
LastValue = tuple[Any, int, int]
"""Value, UTC ms, quality code."""

_log = logging.getLogger("fieldpost.store")


class Checkpoint:
    """Written on the writer thread, read once at start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.replaced = ""
        """Why an old checkpoint was thrown away, empty when it was not."""
        try:
            length = check_length(path)
            if length is not None and length.is_short:
                raise StoreDamaged("the file is shorter than its meta page says")  # noqa: TRY301 - one way out
            self._env = self._open()
        except (StoreDamaged, lmdb.Error) as err:
            if isinstance(err, lmdb.Error) and is_no_room(err):
                raise StoreFull(str(err)) from err
            self.replaced = str(err)
            shutil.rmtree(path, ignore_errors=True)
            self._env = self._open()

    def _open(self) -> Any:
        self._path.mkdir(parents=True, exist_ok=True)
        return lmdb.open(str(self._path), map_size=MAP_SIZE, lib_version=0, readahead=False, meminit=False)

    def write(self, values: Mapping[tuple[str, str], LastValue]) -> None:
        """Put or replace rows in one transaction. Raises StoreFull; the old rows are then still there."""
        try:
            with self._env.begin(write=True) as tx:
                for (device, tag), row in values.items():
                    tx.put(rows.key(device, tag), rows.pack(row))
        except lmdb.Error as err:
            raise translate(err) from err

    def read(self) -> dict[tuple[str, str], LastValue]:
        """All rows that can be read."""
        found: dict[tuple[str, str], LastValue] = {}
        try:
            with self._env.begin() as tx:
                for key, raw in tx.cursor():
                    try:
                        value, ts, quality = rows.unpack(raw)
                        device, tag = key.decode().split("\0")
                    except (StoreDamaged, ValueError):
                        continue
                    found[device, tag] = (value, ts, quality)
        except lmdb.Error as err:
            _log.warning("the checkpoint of last values cannot be read further: %s", err)
        return found

    def close(self) -> None:
        self._env.close()
