"""The page of field lessons names tests that exist and carry the lesson's number."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = re.findall(
    r"^\| FL-(\d+) \| .* \| ([^|]*) \|$",
    (ROOT / "docs/explanation/field-lessons.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
CORE = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, *range(43, 55), 60, 64, 70, 71}
"""Lessons on store, uplink, supervision, configuration and rules."""


def test_the_lessons_of_the_core_are_all_there():
    assert {int(number) for number, _ in ROWS} >= CORE


@pytest.mark.parametrize(("number", "files"), ROWS, ids=[f"FL-{number}" for number, _ in ROWS])
def test_each_named_file_carries_the_number(number, files):
    for file in re.findall(r"`([^`]+)`", files):
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"FL-{number}\b|fl_{number}_", text), file
