"""FL-17: The shadows under the machine: real documents, merge, keeper, desk and write-through over the real store.

Invariants checked elsewhere: H18, H19 (if_ver, size) in tests/unit/shadows/test_desk.py, H22 (table of policies), H23
and H24 in tests/unit/shadows/test_merge.py, H26 in test_merge.py and test_rows.py, H32 in test_shadow_link.py.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.model.shadow_defects import plant
from tests.model.shadow_machine import ShadowMachine, profile
from tests.model.shadow_terms import Defect

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: a step costs disk syncs. The printed blob replays a failure."""


def test_the_shadows_keep_all_invariants() -> None:
    run_state_machine_as_test(ShadowMachine, settings=profile(20, 30, phases=_PHASES))


@pytest.mark.parametrize("defect", list(Defect), ids=lambda defect: defect.name.lower())
def test_the_invariants_catch_a_planted_defect(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(defect, monkeypatch)
    with pytest.raises(AssertionError, match=r"^H\d+"):
        run_state_machine_as_test(
            ShadowMachine, settings=profile(400, 60, derandomize=True, database=None, phases=(Phase.generate,))
        )
