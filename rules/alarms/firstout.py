"""First-out: of alarms that trip each other, the one that came first. Others of its group only follow from it."""

from __future__ import annotations


class FirstOut:
    """The groups of alarms, and who of each is announced. An alarm that is put away does not count: a shelved standing
    alarm would hide for days what trips first.
    """

    def __init__(self) -> None:
        self._announced: dict[str, set[str]] = {}

    def comes(self, group: str, key: str) -> bool:
        """An alarm is announced. True when the whole group was normal before. Never for an alarm without a group."""
        if not group:
            return False
        announced = self._announced.setdefault(group, set())
        first = not announced
        announced.add(key)
        return first

    def goes(self, group: str, key: str) -> None:
        """An alarm is normal again, or was put away."""
        announced = self._announced.get(group)
        if announced is not None:
            announced.discard(key)
            if not announced:
                del self._announced[group]
