"""The shadow model for as long as it takes: the machine of tests/model with many more steps."""

from __future__ import annotations

import pytest
from hypothesis import Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.model.shadow_machine import ShadowMachine, profile
from tests.support.scale import scaled


@pytest.mark.timeout(5 * 3600)
def test_the_shadows_keep_all_invariants_over_many_schedules() -> None:
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    run_state_machine_as_test(ShadowMachine, settings=profile(scaled(10, 5_000), scaled(30, 60), phases=phases))
