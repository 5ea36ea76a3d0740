"""The model itself: it holds without a defect, and each planted defect breaks one of its invariants."""

from __future__ import annotations

import pytest
from hypothesis import Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import machine, profile
from tests.model.reference import ReferenceJournal
from tests.model.terms import Defect


def test_the_model_keeps_all_invariants() -> None:
    run_state_machine_as_test(machine(ReferenceJournal), settings=profile(60, 40))


@pytest.mark.parametrize("defect", list(Defect), ids=lambda defect: defect.name.lower())
def test_the_invariants_catch_a_planted_defect(defect: Defect) -> None:
    planted = machine(lambda: ReferenceJournal(defect), defect)
    with pytest.raises(AssertionError, match=r"^(J|W)\d+:"):
        run_state_machine_as_test(
            planted, settings=profile(400, 50, derandomize=True, database=None, phases=(Phase.generate,))
        )
