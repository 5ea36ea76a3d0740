"""Two replicas and a net between them, on the level of merging alone: edits on both sides, in random schedules."""

from __future__ import annotations

import random
from typing import Any

from gateway.shadows import edits
from gateway.shadows.values import Phase, Policy, Progress, Rejection, Shadow, ShadowError
from tests.unit.shadows.kit import CloudSide, Message, rules, values

_PATHS = ("speed", "mode", "set.temp", "set.limit")
_POLICIES = tuple(Policy)


class Sides:
    """A cloud and a gateway. Both set the same leaves; the cloud hears of edits and lost edits at an exchange."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._policy = rng.choice(_POLICIES)
        self._net: list[Message] = []
        self._cloud = CloudSide()
        self._gateway = Shadow("dev")
        self._made: dict[int, str] = {}
        """Local edits by number."""
        self._heard: list[Rejection] = []
        self._adopted: set[int] = set()

    def step(self) -> None:
        self._rng.choice((self._set, self._set, self._delete, self._publish, self._edit, self._end, self._deliver))()

    def _value(self) -> Any:
        return self._rng.choice((0, 1, 2, True, "x"))

    def _set(self) -> None:
        chosen = self._rng.sample(_PATHS, self._rng.randint(1, 3))
        self._net.append(self._cloud.patch({path: self._value() for path in chosen}))

    def _delete(self) -> None:
        if self._cloud.leaves:
            self._net.append(self._cloud.patch({self._rng.choice(sorted(self._cloud.leaves)): None}))

    def _publish(self) -> None:
        if self._cloud.ver:
            self._net.append(self._cloud.document(meta=self._rng.random() < 0.5))

    def _rules(self) -> Any:
        return rules(self._policy)

    def _edit(self) -> None:
        path = self._rng.choice(_PATHS)
        before = self._gateway.edits.get(path)
        try:
            self._gateway = edits.set_edit(self._gateway, path, self._value(), "panel", self._rules())
        except ShadowError:
            return
        if before is not None:
            self._adopted.add(before.n)  # replaced by its own side, which knows it
        self._made[self._gateway.edits[path].n] = path

    def _end(self) -> None:
        """A write ended."""
        for path, edit in self._gateway.edits.items():
            phase = self._rng.choice((Phase.OK, Phase.REJECTED))
            after = edits.go_on(self._gateway, path, edit.base_ver, edit.n, Progress(phase, edit.base_ver, 422))
            self._gateway = after or self._gateway
            return

    def _deliver(self) -> None:
        """Any message, in any order; now and then it is lost or comes again."""
        if not self._net:
            return
        at, fate = self._rng.randrange(len(self._net)), self._rng.random()
        message = self._net[at] if fate < 0.3 else self._net.pop(at)
        if fate < 0.85:
            self._take(message)

    def _take(self, message: Message) -> None:
        before = self._gateway
        self._gateway = message.merged(self._gateway, self._rules())
        for path, edit in before.edits.items():
            gone = path not in self._gateway.edits and edit.n not in self._gateway.lost
            if gone:
                assert self._gateway.live()[path].value == edit.value, "H31: an edit that is gone was adopted"
                self._adopted.add(edit.n)

    def exchange(self) -> None:
        """One full exchange: the whole desired document down, the reported side and what is to be told up."""
        if self._cloud.ver:
            self._take(self._cloud.document(meta=True))
        self._gateway = edits.exchanged(self._gateway, self._rules())
        while self._net:  # what was still under way changes no desired value any more
            self._take(self._net.pop(self._rng.randrange(len(self._net))))
        for rejection in edits.untold(self._gateway):
            self._heard.append(rejection)
            self._gateway = edits.told(self._gateway, rejection)

    def check(self, seed: str) -> None:
        assert values(self._gateway) == self._cloud.values(), f"H7: {seed}"
        assert self._gateway.meta.desired_ver == self._cloud.ver, f"H1: {seed}"
        for rejection in self._heard:
            assert rejection.ver <= self._cloud.ver, f"H11: {seed}"
        shown = {edit.n for edit in self._gateway.edits.values()}
        lost = {rejection.n for rejection in self._heard if rejection.n}
        assert set(self._made) == shown | lost | self._adopted, f"H31: {seed}"
        assert edits.untold(self._gateway) == [], f"H22: {seed}"
