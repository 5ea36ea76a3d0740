"""The page of faults has a row for each, and names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/explanation/update-faults.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("<!-- faults -->")[2].partition("<!-- end of faults -->")[0]
ROWS = re.findall(r"^\| (\d+)(?:-(\d+))? \| .* \| ([^|]*) \|$", TABLE, re.MULTILINE)
LATER = {52}
"""Faults of what the gateway does not have yet."""


def test_every_fault_has_one_row_and_all_rows_are_read():
    numbers = [number for first, last, _ in ROWS for number in range(int(first), int(last or first) + 1)]
    assert numbers == [number for number in range(1, 55) if number not in LATER]
    assert len(ROWS) == len(re.findall(r"^\| \d", TABLE, re.MULTILINE))


@pytest.mark.parametrize(("first", "tests"), [(first, tests) for first, _, tests in ROWS], ids=lambda part: part[:3])
def test_each_named_test_exists(first, tests):
    named = re.findall(r"`([^`:]+)::([^`]+)`", tests)
    assert named, f"row {first} names no test"
    assert len(named) == tests.count("`") // 2, f"row {first} names something else"
    for file, test in named:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{file} has no {test}"
