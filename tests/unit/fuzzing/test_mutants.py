"""A short fuzzing of everything that reads bytes of strangers; `make soak` has the long one."""

from __future__ import annotations

import pytest

from tests.support.fuzzing.mutator import Mutator
from tests.support.fuzzing.targets import TARGETS, Target

_MUTANTS = 100


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_mutants_are_understood_or_refused(target: Target) -> None:
    mutator = Mutator(target.seeds, 1)
    with target.ready() as consume:
        for seed in target.seeds:
            consume(seed)
        for number in range(_MUTANTS):
            data = mutator.next()
            try:
                consume(data)
            except Exception as error:
                raise AssertionError(f"mutant {number} of {target.name}: {data!r}") from error


def test_the_same_number_makes_the_same_mutants() -> None:
    first, second, third = (Mutator((b"hello world", b"other"), number) for number in (7, 7, 8))
    mutants = [[each.next() for _ in range(50)] for each in (first, second, third)]
    assert mutants[0] == mutants[1] != mutants[2]
