"""The real store under the machine of the model: the same steps, the same invariants."""

from __future__ import annotations

from hypothesis import Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import machine, profile
from tests.model.real import RealJournal

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: a step costs disk syncs. The printed blob replays a failure."""


def test_the_real_store_keeps_all_invariants_of_the_model() -> None:
    run_state_machine_as_test(machine(RealJournal), settings=profile(40, 30, phases=_PHASES))
