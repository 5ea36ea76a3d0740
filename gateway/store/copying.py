"""The small tables of a store, for a backup, and a store made of them that begins a new epoch.

Readings are not copied. What of them nobody has yet cannot come back, and the cloud is told so by gap records: the new
store finds a mirror that knows more than it does, which is what every restored copy is (gateway/store/recovery.py). So
no number is ever given to two contents, whether the old box still runs or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gateway.atomic import create_file, sync_folder
from gateway.errors import StoreError
from gateway.journal import STREAMS
from gateway.store import rows
from gateway.store.environment import DAMAGE_ERRORS, Environment
from gateway.store.files import Lock, Paths
from gateway.store.loading import load
from gateway.store.mirror import SLOT, form
from gateway.store.state import State

_KEPT = (b"row\0", b"alias\0", b"dict\0")
"""Tables of other parts (shadows, alarms, commands, memories of drivers) and the numbers of tags."""
_ROOM = 16 << 20


class Copied(Struct, frozen=True):
    """`rows`: of the tables. `mirror`: what the new store's mirror has to say. `epoch`: of the source."""

    rows: list[tuple[bytes, bytes]]
    mirror: bytes
    epoch: int


def copy_tables(state_dir: Path) -> Copied | None:
    """The tables of the store in a state directory, of one moment; a gateway may run with it. None where there is none.

    Raises StoreError when it cannot be read.
    """
    paths = Paths(state_dir)
    file = paths.journal / "data.mdb"
    try:
        if not file.is_file():
            return None
        room = (file.stat().st_size + _ROOM) // 65536 * 65536
        environment = Environment(paths.journal, room)
    except (*DAMAGE_ERRORS, OSError) as error:
        raise StoreError(f"the store in {state_dir} cannot be read: {error}") from None
    try:
        state = load(environment)
        if state is None:
            return None
        with environment.read() as tx:
            found = [(bytes(key), bytes(value)) for key, value in tx.cursor() if bytes(key).startswith(_KEPT)]
    finally:
        environment.close()
    return Copied(found, _mirror(state), state.epoch)


def _mirror(state: State) -> bytes:
    """A mirror that is ahead: the source may have given out more numbers since, so its end is not known."""
    ahead = replace(state, serial=state.serial + 1, openings=state.openings + 1)
    return form(ahead, "restored", clean=False)


def place_tables(state_dir: Path, copied: Copied) -> None:
    """Make a store of the tables in a state directory that has none. Raises StoreError; nothing is left then."""
    paths = Paths(state_dir)
    if paths.journal.exists() or paths.mirror.exists():
        raise StoreError(f"there is a store in {state_dir} already")
    paths.root.mkdir(parents=True, exist_ok=True)
    lock = Lock(paths.lock)
    lock.acquire()
    try:
        size = sum(len(key) + len(value) for key, value in copied.rows)
        environment = Environment(paths.journal, (_ROOM + 4 * size) // 65536 * 65536)
        try:
            with environment.write() as tx:
                _put(tx, copied.rows)
                nothing = dict.fromkeys(STREAMS, 0)
                numbers = [copied.epoch, 0, dict.fromkeys(STREAMS, 1), nothing, 0, {}]
                tx.put(rows.key("next"), rows.pack(numbers))
        finally:
            environment.close()
        create_file(paths.mirror, copied.mirror + bytes(2 * SLOT - len(copied.mirror)))
        sync_folder(paths.journal)
        sync_folder(state_dir)
    finally:
        lock.release()


def _put(tx: object, found: Iterable[tuple[bytes, bytes]]) -> None:
    for key, value in found:
        if not key.startswith(_KEPT):
            raise StoreError("the backup holds a table that no backup has")
        rows.unpack(value)  # its check sum
        tx.put(key, value)  # type: ignore[attr-defined]
