"""From the rows of the small tables to a State, once at open."""

from __future__ import annotations

import logging
from typing import Any

from gateway.errors import StoreDamaged
from gateway.journal import STREAMS, AliasRow, Gap
from gateway.store import gaps, rows
from gateway.store.environment import Environment
from gateway.store.state import Alias, ConsumerRow, State

_log = logging.getLogger("fieldpost.store")


def load(environment: Environment) -> State | None:
    """The stored state, None for an empty store. Raises StoreDamaged when numbers or aliases cannot be trusted.

    A damaged cursor row is left out: what it covered is delivered again. A damaged gap row becomes a record without
    numbers: that this epoch's tail can never be proved is all that is still true.
    """
    with environment.read() as tx:
        raw = tx.get(rows.key("next"))
        if raw is None:
            if any(tx.stat(db)["entries"] for db in (environment.table, *environment.streams.values())):
                raise StoreDamaged("the row of numbers is gone")
            return None
        epoch, serial, numbers, lost, openings, past = rows.unpack(raw)
        state = State(epoch, openings, serial, past=past)
        state.next.update(numbers)
        state.lost.update(lost)
        for key, value in _prefix(tx, "consumer"):
            name = key.split(b"\0", 1)[1].decode()
            required, streams = rows.unpack(value)
            state.consumers[name] = ConsumerRow(name, required, tuple(streams))
        _load_cursors(tx, state)
        _load_gaps(tx, state)
        _load_aliases(tx, state)
        _check_numbers(environment, tx, state)
    return state


def _prefix(tx: Any, table: str) -> list[tuple[bytes, bytes]]:
    prefix = table.encode() + b"\0"
    found: list[tuple[bytes, bytes]] = []
    cursor = tx.cursor()
    if not cursor.set_range(prefix):
        return found
    for raw_key, raw_value in cursor:
        key = bytes(raw_key)
        if not key.startswith(prefix):
            break
        found.append((key, bytes(raw_value)))
    return found


def _load_cursors(tx: Any, state: State) -> None:
    for key, value in _prefix(tx, "cursor"):
        consumer, stream, (epoch,) = rows.split_stream_key(key)
        try:
            state.cursors[consumer, stream, epoch] = tuple((low, high) for low, high in rows.unpack(value))
        except StoreDamaged:
            _log.exception("the cursor of %s in %s is unreadable: what it covered is sent again", consumer, stream)


def _load_gaps(tx: Any, state: State) -> None:
    for key, value in _prefix(tx, "gap"):
        consumer, stream, (epoch, first) = rows.split_stream_key(key)
        try:
            record = gaps.from_row(stream, epoch, first, rows.unpack(value))
        except StoreDamaged:
            _log.exception("a gap record of %s in %s is unreadable", consumer, stream)
            record = Gap(stream, epoch, None, None, None, 0, 0, "store")
        cursor = (consumer, stream, epoch)
        state.gaps[cursor] = (*state.gaps.get(cursor, ()), record)


def _load_aliases(tx: Any, state: State) -> None:
    for key, value in _prefix(tx, "alias"):
        _, device, tag = key.decode().split("\0")
        alias, live, until = rows.unpack(value)
        state.aliases[device, tag] = Alias(AliasRow(alias, device, tag, live), tuple(until) if until else None)
    raw = tx.get(rows.key("dict"))
    state.dict_no, state.highest_alias = rows.unpack(raw) if raw is not None else (0, 0)


def _check_numbers(environment: Environment, tx: Any, state: State) -> None:
    """No stored segment may be at or above the next number."""
    for stream in STREAMS:
        cursor = tx.cursor(db=environment.streams[stream])
        if cursor.last():
            key = bytes(cursor.key())
            if key >= state.epoch.to_bytes(8, "big") + state.next[stream].to_bytes(8, "big"):
                raise StoreDamaged(f"{stream} holds numbers that were never given out")
