"""Keeps shadows in the journal's environment: a change is on disk before anybody sees it, all of it or nothing.

One change of a device at a time. Revisions for readers are given when a change has become visible.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from gateway.journal import Level, Producer, Tx
from gateway.shadows import rows
from gateway.shadows.feed import Feed
from gateway.shadows.values import Edit, Leaf, Progress, Shadow

RESERVE = 1_000
"""Reported versions are given out of a block that is on disk: one commit for so many changes."""
_NEW_EPOCH = 1_000_000
"""A store that was replaced or restored may have forgotten this many reported versions at most."""

Listener = Callable[[str, Shadow, Shadow], None]
"""Called with the device, its shadow before and after a change that is on disk."""


class _Asked(Struct, eq=False):
    """A change that waits for its commit."""

    change: Callable[[Shadow], Shadow]
    level: Level
    also: Callable[[Tx], None] | None
    once: str
    made: asyncio.Future[Shadow]

    def fail(self, error: Exception) -> None:
        self.made.set_exception(error)
        self.made.exception()  # whoever asked may have gone


class Keeper:
    """All shadows of the gateway. `kept`: committed rows of the table at the start; `epoch`: the store's."""

    def __init__(self, journal: Producer, kept: Mapping[str, Any], epoch: int, feed: Feed) -> None:
        self._journal = journal
        self._epoch = epoch
        self._shadows = rows.decode(kept)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._asked: dict[str, deque[_Asked]] = defaultdict(deque)
        self._listeners: list[Listener] = []
        self.feed = feed

    def get(self, device: str) -> Shadow:
        """The device's shadow; an empty one when nothing was ever wanted of it."""
        return self._shadows.get(device) or Shadow(device)

    def devices(self) -> list[str]:
        """Devices that have rows."""
        return sorted(self._shadows)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def change(
        self,
        device: str,
        change: Callable[[Shadow], Shadow],
        level: Level = Level.NOW,
        also: Callable[[Tx], None] | None = None,
        once: str = "",
    ) -> Shadow:
        """Make a change and return when it is on disk. `also` runs in the same transaction. A change with the same
        `once` as an earlier one is made after that one is on disk and whoever asked for it has gone on.

        What `change` raises leaves everything as it was. Changes of a device that wait for a commit are made together
        in the next one, in order. A cancellation waits for the commit: what is on disk must be known here too.
        """
        asked = _Asked(change, level, also, once, asyncio.get_running_loop().create_future())
        queue = self._asked[device]
        queue.append(asked)
        try:
            async with self._locks[device]:
                while not asked.made.done():
                    await self._make(device, queue)
        except asyncio.CancelledError:
            if asked in queue:  # given up before its turn
                queue.remove(asked)
            else:
                await _done(asked.made)
            raise
        return asked.made.result()

    async def _make(self, device: str, queue: deque[_Asked]) -> None:
        """Make what waits, up to one that has to see what became of an earlier one."""
        names: set[str] = set()
        before = self._shadows.get(device)
        after, made = before or Shadow(device), list[tuple[_Asked, Shadow]]()
        while queue and (not queue[0].once or queue[0].once not in names):
            asked = queue.popleft()
            names.add(asked.once)
            try:
                after = asked.change(after)
            except Exception as error:
                asked.fail(error)
                continue
            made.append((asked, after))
        try:
            cancelled = await self._store(device, before, after, [asked for asked, _ in made])
        except Exception as error:
            for asked, _ in made:
                asked.fail(error)
            return
        for asked, shadow in made:
            asked.made.set_result(shadow)
        if cancelled is not None:
            raise cancelled

    async def _store(
        self, device: str, before: Shadow | None, after: Shadow, asked: Sequence[_Asked]
    ) -> asyncio.CancelledError | None:
        if before is not None and before.read_only:  # rows of a newer release stay as they are (H26)
            self._shadows[device] = after
            return None
        found = rows.changes(before, after) if before is not None or after != Shadow(device) else {}
        also = [each.also for each in asked if each.also is not None]
        if not found and not also:
            return None

        def work(tx: Tx) -> None:
            for key, row in found.items():
                if row is None:
                    tx.delete(rows.TABLE, key)
                else:
                    tx.put(rows.TABLE, key, row)
            for part in also:
                part(tx)

        cancelled = await _done(self._journal.submit(work, min(each.level for each in asked)))
        self._shadows[device] = after
        self._tell(device, before or Shadow(device), after)
        return cancelled

    def _tell(self, device: str, before: Shadow, after: Shadow) -> None:
        self.feed.put(device, differences(before, after))
        for listener in self._listeners:
            listener(device, before, after)

    async def reserve(self, device: str, beyond: int) -> int:
        """Have reported versions above `beyond` on disk before they are given out; the greatest that may be."""

        def change(shadow: Shadow) -> Shadow:
            meta = shadow.meta
            base = max(meta.reported_ver, beyond)
            if meta.epoch not in (0, self._epoch):
                base += _NEW_EPOCH
            return structs.replace(shadow, meta=structs.replace(meta, reported_ver=base + RESERVE, epoch=self._epoch))

        return (await self.change(device, change, Level.SOON)).meta.reported_ver


async def _done(future: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait for a commit, whatever happens to us; its error is raised, a cancellation is returned."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    future.result()
    return cancelled


def differences(before: Shadow, after: Shadow) -> list[dict[str, Any]]:
    """What readers are told of a change, one item a path and side."""
    desired, local, apply = (
        _changed(before.desired, after.desired),
        _changed(before.edits, after.edits),
        _changed(before.progress, after.progress),
    )
    return [
        *({"side": "desired", "path": path, **_leaf(after.desired.get(path))} for path in desired),
        *({"side": "local", "path": path, **_edit(after.edits.get(path))} for path in local),
        *({"side": "apply", "path": path, **_progress(after.progress.get(path))} for path in apply),
    ]


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(path for path in {*before, *after} if before.get(path) is not after.get(path))


def _leaf(leaf: Leaf | None) -> dict[str, Any]:
    return {"value": None} if leaf is None else {"value": leaf.value, "ver": leaf.ver, "ts": leaf.ts}


def _edit(edit: Edit | None) -> dict[str, Any]:
    if edit is None:
        return {"value": None}
    return {"value": edit.value, "base_ver": edit.base_ver, "n": edit.n, "who": edit.who, **_progress(edit.progress)}


def _progress(progress: Progress | None) -> dict[str, Any]:
    if progress is None:
        return {"state": None}
    row: dict[str, Any] = {"state": progress.phase.value, "desired_ver": progress.ver, "code": progress.code}
    return {**row, "text": progress.text} if progress.text else row
