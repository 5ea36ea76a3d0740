"""FL-45, FL-64: every broken tree is refused whole, with each fault's place and the corrected form."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings.loader import load_tree
from rules.expression import RuleExpressions

CASES = Path(__file__).parents[2] / "cases" / "broken_config"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


def test_fl_45_there_are_at_least_sixty_broken_trees() -> None:
    assert len(NAMES) >= 60


@pytest.mark.parametrize("name", NAMES)
def test_fl_45_fl_64_a_broken_tree_is_refused_with_every_fault_at_its_place(name: str) -> None:
    """Each line of expect.txt is how one problem begins, in order; there are no others."""
    expected = (CASES / name / "expect.txt").read_text().splitlines()
    with pytest.raises(ConfigError) as caught:
        load_tree(CASES / name, Registry().load, env={}, expressions=RuleExpressions())
    found = [str(problem).replace(f"{CASES}/", "") for problem in caught.value.problems]
    assert len(found) == len(expected), "\n".join(found)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize("name", NAMES)
def test_each_place_lies_inside_its_file(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tree(CASES / name, Registry().load, env={}, expressions=RuleExpressions())
    for problem in caught.value.problems:
        if problem.line:
            lines = (CASES / name / problem.file).read_bytes().decode("utf-8", "replace").splitlines() or [""]
            assert problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
