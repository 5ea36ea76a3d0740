"""The state machine: steps in any order, invariants after each, a drain at the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.terms import Defect, Journal
from tests.model.world import World

TAGS = [f"tag{i}" for i in range(6)]
SOAK = int(os.environ.get("FIELDPOST_MODEL_SCALE", "1"))
"""Multiplies the number of examples: `make soak` sets it."""


def profile(examples: int, steps: int, **more: Any) -> settings:
    return settings(
        max_examples=examples * SOAK,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        **more,
    )


class JournalMachine(RuleBasedStateMachine):
    """Steps over a journal that `make` makes, with a `defect` that must be found, if any."""

    make: Callable[[], Journal]
    defect: Defect | None

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.make(), self.defect)
        self.aliases = self.world.bind(TAGS[:4])
        self.full = False
        self.copied = False

    @initialize()
    def first_consumer(self) -> None:
        self.world.add("oldest")

    def name(self, which: int) -> str:
        return sorted(self.world.sinks)[which % len(self.world.sinks)]

    @rule(picks=st.lists(st.integers(0, 5), min_size=1, max_size=9), times=st.integers(1, 3), commit=st.booleans())
    def produce(self, picks: list[int], times: int, *, commit: bool) -> None:
        for _ in range(times):
            self.world.produce([self.aliases[pick % len(self.aliases)] for pick in picks])
        if commit:
            self.world.commit()

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @precondition(lambda self: not self.full)
    @rule(which=st.integers(0, 9), crossing=st.booleans())
    def drop(self, which: int, *, crossing: bool) -> None:
        """`crossing`: a gap record is under way while it grows."""
        before = len(self.world.net)
        if crossing:
            self.world.send_gap(self.name(which), which)
        self.world.journal.drop()
        if len(self.world.net) > before:
            self.world.deliver(before, keep=False, code=0, ack=True)
            self.world.commit()

    @rule()
    def disk(self) -> None:
        self.full = not self.full
        if self.full:
            self.world.journal.fill_disk()
        else:
            self.world.journal.free_disk()

    @precondition(lambda self: not self.full)
    @rule(what=st.sampled_from(("crash", "restart", "copy", "restore")))
    def die(self, what: str) -> None:
        if what == "restore" and not self.copied:
            return
        self.copied = self.copied or what == "copy"
        getattr(self.world.journal, what)()
        self.world.net.clear()
        self.world.lost_in_ram()
        if what == "restore":
            self.aliases = self.world.bind(TAGS[:4])

    @precondition(lambda self: not self.full)
    @rule(
        tags=st.lists(st.sampled_from(TAGS), min_size=1, unique=True),
        seconds=st.sampled_from((-31_536_000, -5, 5, 31_536_000)),
    )
    def reload(self, tags: list[str], seconds: int) -> None:
        self.aliases = self.world.bind(tags)
        self.world.journal.step_clock(seconds)

    @precondition(lambda self: not self.full)
    @rule(which=st.integers(0, 9), start=st.sampled_from(("oldest", "next")))
    def configure(self, which: int, start: str) -> None:
        if len(self.world.sinks) > 2:
            self.world.forget(self.name(which))
        else:
            self.world.add(start)

    @rule(
        which=st.integers(0, 9),
        offset=st.sampled_from((0, 0, 1, 5, 20)),
        limit=st.integers(1, 12),
        code=st.sampled_from((0x00, 0x00, 0x10, 0x87)),
        ack=st.booleans(),
        gap=st.booleans(),
        again=st.booleans(),
    )
    def exchange(self, which: int, offset: int, limit: int, code: int, *, ack: bool, gap: bool, again: bool) -> None:
        """One message and its answer; `again`: cut differently and sent a second time before the answer."""
        if again:
            self.exchange_once(which, offset, limit + 9, 0, ack=False, gap=gap)
        self.exchange_once(which, offset, limit, code, ack=ack, gap=gap)

    def exchange_once(self, which: int, offset: int, limit: int, code: int, *, ack: bool, gap: bool) -> None:
        before = len(self.world.net)
        if gap:
            self.world.send_gap(self.name(which), offset)
        else:
            self.world.send(self.name(which), (self.world.journal.epoch(), offset) if offset else (0, 0), limit)
        if len(self.world.net) > before:
            self.world.deliver(before, keep=False, code=code, ack=ack)

    @rule(which=st.integers(0, 9), limit=st.integers(1, 12), gap=st.booleans())
    def send(self, which: int, limit: int, *, gap: bool) -> None:
        if gap:
            self.world.send_gap(self.name(which), limit)
        else:
            self.world.send(self.name(which), (0, 0), limit)

    @precondition(lambda self: self.world.net)
    @rule(which=st.integers(0, 99), keep=st.booleans(), ack=st.booleans(), lose=st.booleans())
    def deliver(self, which: int, *, keep: bool, ack: bool, lose: bool) -> None:
        if lose:
            del self.world.net[which % len(self.world.net)]
        else:
            self.world.deliver(which, keep=keep, code=0, ack=ack)

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.journal.free_disk()
            self.world.commit()
            self.world.drain()
        finally:
            self.world.journal.end()


def machine(make: Callable[[], Journal], defect: Defect | None = None) -> type[RuleBasedStateMachine]:
    """A machine class over the journals that `make` makes."""
    return type("JournalMachine", (JournalMachine,), {"make": staticmethod(make), "defect": defect})
