"""Every profile that is shipped, with its cases: raw registers, adverts and messages put together by hand from the makers'
documents. They are the check that scale, sign, word order and place are right.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.profiletests.running import try_profile
from gateway.cli.profiletests.sources import installed, library
from tests.support.parts import require

PROFILES = library(installed())
WITHOUT_CASES = {"gateway"}
"""Of drivers that play none."""
PAGE = (Path(__file__).parents[2] / "docs/reference/profiles.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", PROFILES, ids=lambda source: source.name)
def test_a_shipped_profile_reads_what_its_cases_say_and_nothing_is_odd_about_it(source):
    if source.driver == "ble":
        require("bthome_ble")
    result = try_profile(source)
    assert {case.name: case.failures for case in result.failed} == {}
    assert [(each.tag, each.text) for each in result.remarks] == []
    if source.name not in WITHOUT_CASES:
        assert result.cases
        assert result.checked * 4 >= result.tags, "at least a quarter of the tags is looked at"


def test_a_shipped_profile_names_the_document_its_facts_are_from():
    for source in PROFILES:
        meta = source.chain[-1]["meta"] | source.body.get("meta", {})
        assert {"maker", "model", "source", "quality"} <= set(meta), source.name


def test_a_shipped_profile_has_a_name_of_its_own_in_its_driver_and_the_file_has_that_name():
    for source in PROFILES:
        assert source.file == f"profiles/{source.name}.yaml"


def test_the_page_of_profiles_lists_them_all():
    for source in PROFILES:
        meta = source.chain[-1]["meta"] | source.body.get("meta", {})
        assert f"| `{source.name}` | {meta['maker']} | {meta['model']} |" in PAGE, source.name


def test_the_library_is_part_of_an_installation():
    code = "from gateway.library import case_texts as c, profile_texts as p; print(len(p('modbus')), len(c('modbus')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    own = [source for source in PROFILES if source.driver == "modbus"]
    assert done.stdout.split() == [str(len(own)), str(sum(bool(source.cases) for source in own))]
