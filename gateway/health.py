"""Conditions that a person should see: raised once, kept while true, cleared once, each with its repair.

Alarms subscribe to issues later; the journal gets each change as an event of kind `issue`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec import Struct

from gateway.clock import Clock


class Issue(Struct, frozen=True):
    """One condition. Identity is (id, entity): `device_offline` of `pump`. `since` in UTC ms."""

    id: str
    entity: str
    text: str
    repair: str
    since: int


IssueListener = Callable[[Issue, bool], None]


class Health:
    """The set of open issues."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[tuple[str, str], Issue] = {}
        self._listeners: list[IssueListener] = []

    def listen(self, listener: IssueListener) -> None:
        """Call `listener(issue, True)` when one is set and `(issue, False)` when it is cleared."""
        self._listeners.append(listener)

    def set(self, id: str, entity: str, text: str, repair: str = "") -> None:  # noqa: A002 - the field's word
        """Raise an issue. One that is open already only takes the new text; nobody is told again."""
        known = self._open.get((id, entity))
        since = known.since if known else self._clock.wall_ms()
        issue = Issue(id, entity, text, repair, since)
        self._open[id, entity] = issue
        if known is None:
            for listener in self._listeners:
                listener(issue, True)  # noqa: FBT003

    def clear(self, id: str, entity: str) -> None:  # noqa: A002
        """End an issue; nothing happens when it is not open."""
        issue = self._open.pop((id, entity), None)
        if issue is not None:
            for listener in self._listeners:
                listener(issue, False)  # noqa: FBT003

    def clear_entity(self, entity: str, *, keep: Collection[str] = ()) -> None:
        """End all issues of an entity that is gone, or begins anew, but those of the kinds to `keep`."""
        for id_, of in [key for key in self._open if key[1] == entity and key[0] not in keep]:
            self.clear(id_, of)

    def open(self) -> list[Issue]:
        return sorted(self._open.values(), key=lambda issue: (issue.since, issue.id, issue.entity))
