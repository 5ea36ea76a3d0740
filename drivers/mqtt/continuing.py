"""What one attempt of a channel leaves to the next one in the same process: a configuration that changes restarts a
channel, and what its tags showed is still true then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drivers.mqtt.topics import covers

SHORT_S = 2.0
"""A planned pause up to here makes nothing old."""
_MOST = 200

Tags = Mapping[str, frozenset[str]]
"""Subscribed filter -> names of the tags that come by it."""

_ended: dict[str, tuple[float, Tags]] = {}


def end(session: str, now: float, tags: Tags) -> None:
    """A session was closed in order. `now`: the boot clock."""
    if len(_ended) >= _MOST:
        _ended.pop(next(iter(_ended)))
    _ended[session] = (now, dict(tags))


def take_up(session: str, now: float) -> Tags | None:
    """What the session had subscribed when it was closed a moment ago in this process; None when it was not."""
    ended, tags = _ended.pop(session, (float("-inf"), {}))
    return tags if now - ended <= SHORT_S else None


def tags_by(filters: Iterable[str], takers: Iterable[Any]) -> dict[str, frozenset[str]]:
    """The tags that each subscribed filter brings."""
    found: dict[str, set[str]] = {name: set() for name in filters}
    for taker in takers:
        block = getattr(taker, "block", None)
        if block is None:
            continue
        names = [tag.name for tag in block.tags]
        own = found.get(taker.filter)
        for each in [own] if own is not None else [found[name] for name in found if covers(name, taker.filter)]:
            each.update(names)
    return {name: frozenset(names) for name, names in found.items()}
