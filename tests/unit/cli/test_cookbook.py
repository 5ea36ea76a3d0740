"""Every recipe of the cookbook does what its page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.main import main

ROOT = Path(__file__).parents[3]
COOKBOOK = ROOT / "config" / "examples" / "cookbook"
PAGE = (ROOT / "docs" / "how-to" / "rules-cookbook.md").read_text(encoding="utf-8")
TESTS = sorted((COOKBOOK / "tests").glob("*.yaml"))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_each_recipe_does_what_it_says(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["rules", "test", str(file)])
    assert status == 0, capsys.readouterr().out


def test_the_page_tells_of_each_recipe_and_of_how_many_tests_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    rules = [path.name for path in (COOKBOOK / "rules").glob("*.yaml")]
    assert len(rules) >= 15
    assert all(f"cookbook/rules/{name})" in PAGE for name in rules)
    assert main(["rules", "test", str(COOKBOOK / "tests")]) == 0
    assert capsys.readouterr().out.strip() in PAGE


def test_each_rule_has_a_test_that_names_it() -> None:
    from gateway.cli.rulebooks import load_rules

    said = "\n".join(file.read_text(encoding="utf-8") for file in TESTS)
    loaded = load_rules(COOKBOOK)
    assert [rule.id for rule in loaded.book.rules if rule.id not in said] == []
    assert [spec.id for spec in loaded.book.alarms if spec.id not in said] == []
