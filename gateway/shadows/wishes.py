"""What the configuration wants of tags (`desired`) while nobody has wanted anything of them.

A wish becomes a desired leaf of version 0, which is older than anything the cloud or a person can say, and goes the way
of all desired leaves: it waits for its device. That it was made is kept in the same commit, so it is made once: not
after a restart, not after somebody deleted it, not when the configuration changes its mind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import structs

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.journal import Tx
from gateway.model import Tag
from gateway.shadows import paths
from gateway.shadows.convert import is_state, to_document
from gateway.shadows.keeper import Keeper
from gateway.shadows.values import Leaf, Origin, Phase, Progress, Shadow
from gateway.tags import TagTable

WISHED = "shadow_wished"
"""Small table: device/path -> [UTC ms]."""
_VERSION = 0

_log = logging.getLogger("fieldpost.shadows")


class Wishes:
    """`kept`: committed rows of the table at the start. Ask `look` now and then: it costs nothing without a change."""

    def __init__(
        self, keeper: Keeper, tags: TagTable, clock: Clock, kept: Mapping[str, Any], max_bytes: Callable[[], int]
    ) -> None:
        self._keeper = keeper
        self._tags = tags
        self._clock = clock
        self._made = set(kept)
        self._max_bytes = max_bytes
        self._seen = -1

    async def look(self) -> None:
        """Make the wishes of the configuration as it is now that were not made yet. Returns when they are on disk."""
        if self._tags.version == self._seen:
            return
        seen = self._tags.version
        for device in list(self._tags.devices()):
            waiting = [tag for tag in device.tags if tag.spec.desired is not None and self._key(tag) not in self._made]
            if not waiting:
                continue
            try:
                await self._make(device.id, waiting)
            except GatewayError as error:  # the store has no room: it is tried again
                _log.warning("what the configuration wants of %s waits: %s", device.id, error)
                return
        self._seen = seen

    async def _make(self, device: str, tags: list[Tag]) -> None:
        now = self._clock.wall_ms()

        def also(tx: Tx) -> None:
            for tag in tags:
                tx.put(WISHED, self._key(tag), [now])

        await self._keeper.change(device, lambda shadow: with_wishes(shadow, tags, now, self._max_bytes()), also=also)
        self._made.update(map(self._key, tags))

    @staticmethod
    def _key(tag: Tag) -> str:
        return f"{tag.device}/{tag.path}"


def with_wishes(shadow: Shadow, tags: Iterable[Tag], now: int, max_bytes: int) -> Shadow:
    """The shadow with what is wanted of those tags that nobody wants anything of. Pure."""
    if shadow.read_only:
        return shadow
    desired, progress, size = dict(shadow.desired), dict(shadow.progress), shadow.meta.bytes
    for tag in tags:
        path, value = paths.shadow_path(tag.path), to_document(tag.spec.desired)
        taken = path in shadow.edits or any(paths.collides(path, other) for other in (*desired, *shadow.edits))
        more = 0 if value is None else paths.size(path, value)
        if value is None or path in desired or taken or not is_state(tag):
            continue
        if size + more > max_bytes:
            _log.warning("%s.%s: no room in the shadow for what the configuration wants", tag.device, tag.path)
            continue
        desired[path] = Leaf(value, _VERSION, now, Origin.LOCAL)
        progress[path] = Progress(Phase.PENDING, _VERSION, ts=now)
        size += more
    if len(desired) == len(shadow.desired):
        return shadow
    return structs.replace(shadow, desired=desired, progress=progress, meta=structs.replace(shadow.meta, bytes=size))
