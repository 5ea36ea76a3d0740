"""The state machine of shadows (protocol.md 3.5): the steps in any order, all invariants after each."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.model.shadow_terms import BAD, PATHS, VALUES
from tests.model.shadow_world import World

_PATH = st.sampled_from(PATHS)


def profile(examples: int, steps: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        **more,
    )


@st.composite
def _changes(draw: st.DrawFn) -> dict[str, Any]:
    """Leaves of a patch: values, deletions, now and then a value that cannot be desired."""
    chosen = draw(st.lists(_PATH, min_size=1, max_size=3, unique=True))
    kinds = st.sampled_from(("value",) * 6 + ("delete",) * 2 + ("bad",))
    return {path: _one(draw, path, draw(kinds)) for path in chosen}


def _one(draw: st.DrawFn, path: str, kind: str) -> Any:
    if kind == "value":
        return draw(st.sampled_from(VALUES[path]))
    return None if kind == "delete" else BAD[path]


class ShadowMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    # --- the cloud and the net

    @precondition(lambda self: not self.world.cloud.counter_lost)
    @rule(changes=_changes(), rid=st.booleans(), twice=st.booleans(), at_once=st.booleans())
    def cloud_sets(self, changes: dict[str, Any], *, rid: bool, twice: bool, at_once: bool) -> None:
        self.world.set(changes, rid=rid, twice=twice)
        if at_once:
            self.world.deliver(len(self.world.bag) - 1, keep=False)

    @precondition(lambda self: self.world.cloud.desired and not self.world.cloud.counter_lost)
    @rule(which=st.integers(0, 9), overtakes=st.booleans())
    def cloud_deletes(self, which: int, *, overtakes: bool) -> None:
        """`overtakes`: it comes before what was sent earlier."""
        there = sorted(self.world.cloud.desired)
        self.world.set({there[which % len(there)]: None}, rid=False, twice=False)
        if overtakes:
            self.world.deliver(len(self.world.bag) - 1, keep=False)

    @precondition(lambda self: not self.world.cloud.counter_lost)
    @rule(meta=st.booleans(), twice=st.booleans())
    def cloud_publishes_a_document(self, *, meta: bool, twice: bool) -> None:
        self.world.document(meta=meta, twice=twice)

    @precondition(lambda self: self.world.bag)
    @rule(which=st.integers(0, 99), keep=st.booleans())
    def deliver(self, which: int, *, keep: bool) -> None:
        self.world.deliver(which, keep=keep)

    @precondition(lambda self: self.world.bag)
    @rule(which=st.integers(0, 99))
    def lose(self, which: int) -> None:
        del self.world.bag[which % len(self.world.bag)]

    @rule()
    def publish(self) -> None:
        self.world.publish()

    @precondition(lambda self: self.world.reports)
    @rule(which=st.integers(0, 99), keep=st.booleans())
    def cloud_hears(self, which: int, *, keep: bool) -> None:
        self.world.hear(which, keep=keep)

    @rule()
    def exchange(self) -> None:
        self.world.exchange()

    @rule(restore=st.booleans())
    def cloud_copy(self, *, restore: bool) -> None:
        if restore and self.world.copy is not None:
            self.world.restore_cloud()
        elif not self.world.cloud.counter_lost:
            self.world.copy = self.world.cloud.copied()

    # --- the device

    @rule(path=_PATH, which=st.integers(0, 2))
    def device_changes_by_itself(self, path: str, which: int) -> None:
        self.world.change_device(path, VALUES[path][which % len(VALUES[path])])

    @rule(at_panel=st.none() | st.integers(0, 9), which=st.integers(0, 2), seconds=st.sampled_from((0, 400)))
    def device_goes_and_returns(self, at_panel: int | None, which: int, seconds: int) -> None:
        """With or without a change at its panel while it was away, first of all of something that is desired."""
        self.world.leave()
        if at_panel is not None:
            choice = sorted(self.world.shadow.live()) or PATHS
            path = choice[at_panel % len(choice)]
            self.world.device.put(path.replace(".", "/"), VALUES[path][which % len(VALUES[path])])
        self.world.gateway.clock.move(seconds)
        self.world.come_back()

    @rule()
    def device_goes(self) -> None:
        self.world.leave()

    @rule()
    def device_returns(self) -> None:
        self.world.come_back()

    @rule(how=st.sampled_from(("good", "good", "refuse", "clamp", "late", "deaf", "mute")), path=_PATH)
    def device_behaves(self, how: str, path: str) -> None:
        self.world.behave(how, path)

    @rule(seconds=st.sampled_from((1, 6, 30)))
    def time_passes(self, seconds: int) -> None:
        self.world.advance(seconds)

    # --- the gateway

    @rule(path=_PATH, which=st.integers(0, 3))
    def local_edit(self, path: str, which: int) -> None:
        self.world.edit(path, BAD[path] if which == 3 else VALUES[path][which % len(VALUES[path])])

    @rule(path=_PATH)
    def local_edit_taken_back(self, path: str) -> None:
        self.world.drop_edit(path)

    @rule()
    def checkpoint(self) -> None:
        self.world.checkpoint()

    @rule(under_way=st.booleans())
    def crash(self, *, under_way: bool) -> None:
        self.world.crash(under_way=under_way)

    @rule(seconds=st.sampled_from((-3600, 3600)))
    def wall_clock_steps(self, seconds: int) -> None:
        self.world.gateway.clock.step_wall(seconds)

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.exchange()
            self.world.check()
        finally:
            self.world.end()
