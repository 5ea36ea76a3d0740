"""Which positions of a block rules watch: worked out once for each block, not with each batch."""

from __future__ import annotations

from gateway.model import Block

_MAX_PLANS = 4096
"""Overflow: the eldest is worked out anew when its block comes again."""


class Plan:
    """`watched`: (position, slot) of each tag that is wanted; `by_position`: the same as a map."""

    __slots__ = ("block", "by_position", "watched")

    def __init__(self, block: Block, wanted: set[int]) -> None:
        self.block = block
        self.watched = [(at, slot) for at, slot in enumerate(block.slots) if slot in wanted]
        self.by_position = dict(self.watched)


class Plans:
    """Of one rule book, which wants these slots."""

    def __init__(self, wanted: set[int]) -> None:
        self._wanted = wanted
        self._plans: dict[int, Plan] = {}

    def of(self, block: Block) -> Plan:
        """The plan of a block; another one at the same place in memory has its own."""
        plan = self._plans.get(id(block))
        if plan is None or plan.block is not block:
            if len(self._plans) >= _MAX_PLANS:
                del self._plans[next(iter(self._plans))]
            plan = self._plans[id(block)] = Plan(block, self._wanted)
        return plan
