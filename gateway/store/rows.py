"""Rows of the small tables: key = table 0x00 parts, value = CRC32 + msgpack.

All small tables share one LMDB database, so that the rows that change in a commit (numbers, cursors, serial) sit on few
pages: flash wear is counted in pages.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgpack

from gateway.errors import StoreDamaged, StoreError

MAX_KEY = 511
_CRC = struct.Struct(">I")
_EPOCH = struct.Struct(">Q")


def key(table: str, *parts: str) -> bytes:
    """The key of a row. Raises StoreError when it is too long for LMDB."""
    raw = "\0".join((table, *parts)).encode()
    if len(raw) > MAX_KEY:
        raise StoreError(f"the key of a row in table {table} has {len(raw)} bytes, at most {MAX_KEY} are allowed")
    return raw


def stream_key(table: str, consumer: str, stream: str, epoch: int, *numbers: int) -> bytes:
    """The key of a cursor, gap or dead-letter row: numbers stay in order as big-endian u64."""
    return key(table, consumer, stream, "") + b"".join(_EPOCH.pack(number) for number in (epoch, *numbers))


def split_stream_key(raw: bytes) -> tuple[str, str, list[int]]:
    """Consumer, stream and numbers of a key made by `stream_key`."""
    _table, consumer, stream, numbers = raw.split(b"\0", 3)
    return consumer.decode(), stream.decode(), [number for (number,) in _EPOCH.iter_unpack(numbers)]


def pack(value: Any) -> bytes:
    """A row's value. Raises StoreError for what msgpack cannot hold."""
    try:
        body: bytes = msgpack.packb(value)
    except (TypeError, ValueError, OverflowError) as err:
        raise StoreError(f"a row's value cannot be stored: {err}") from err
    return _CRC.pack(zlib.crc32(body)) + body


def unpack(raw: bytes | memoryview) -> Any:
    """The value of a row. Raises StoreDamaged when its CRC does not fit."""
    raw = bytes(raw)
    body = raw[_CRC.size :]
    if len(raw) <= _CRC.size or _CRC.unpack_from(raw)[0] != zlib.crc32(body):
        raise StoreDamaged("a row fails its check")
    try:
        return msgpack.unpackb(body, strict_map_key=False)
    except ValueError as err:  # a CRC that fits by chance, or a row of another format
        raise StoreDamaged("a row cannot be decoded") from err
