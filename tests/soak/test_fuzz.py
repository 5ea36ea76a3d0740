"""The long fuzzing: every target for a time that FIELDPOST_FUZZ_S sets (120 s each). A failing input is kept in a file."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.support.fuzzing.mutator import Mutator
from tests.support.fuzzing.targets import TARGETS, Target

_SECONDS = float(os.environ.get("FIELDPOST_FUZZ_S", "120"))


@pytest.mark.timeout(_SECONDS + 60)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_mutants_are_understood_or_refused(target: Target, tmp_path: Path) -> None:
    number = int(os.environ.get("FIELDPOST_SEED") or random.randrange(2**31))
    print(f"FIELDPOST_SEED={number}")
    mutator = Mutator(target.seeds, number)
    end, count = time.monotonic() + _SECONDS, 0
    with target.ready() as consume:
        while time.monotonic() < end:
            data = mutator.next()
            try:
                consume(data)
            except Exception as error:
                (tmp_path / "input").write_bytes(data)
                raise AssertionError(f"mutant {count} of seed {number}, kept in {tmp_path / 'input'}") from error
            count += 1
    print(f"{target.name}: {count} mutants")
