"""The drivers' sample.yaml files: what a newcomer copies must load as it stands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import drivers
from gateway.cli.main import main
from gateway.sdk.quality import LEVELS, assess
from gateway.settings.loader import load_tree

FOLDER = Path(drivers.__file__).parent
SAMPLES = sorted(FOLDER.glob("*/sample.yaml"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.parent.name)
def test_a_sample_loads_without_any_problem(sample, tmp_path):
    (tmp_path / "channels").mkdir()
    (tmp_path / "gateway.yaml").write_text("gateway: {id: test}\n")
    shutil.copy(sample, tmp_path / "channels" / "line.yaml")
    settings = load_tree(tmp_path, env={})
    assert [channel.driver for channel in settings.channels] == [sample.parent.name]
    assert sum(len(device.tags) for device in settings.channels[0].devices) >= 5


def test_every_driver_has_its_papers_and_the_tests_they_name():
    root = FOLDER.parent
    for folder in (path.parent for path in FOLDER.glob("*/__init__.py")):
        assert {"README.md", "sample.yaml", "quality.yaml"} <= {path.name for path in folder.iterdir()}
        quality = yaml.safe_load((folder / "quality.yaml").read_text())
        assert quality["driver"] == folder.name
        for rule, row in quality["rules"].items():
            tests = row.get("test", [])
            for test in [tests] if isinstance(tests, str) else tests:
                assert (root / test).is_file(), (folder.name, rule)
            assert row.get("done", False) is bool(tests), (folder.name, rule)


@pytest.mark.parametrize("name", [path.parent.name for path in SAMPLES])
def test_a_driver_has_the_quality_that_it_claims(name):
    found = assess(name, FOLDER.parent)
    assert found.claimed in LEVELS
    assert (found.level, found.kept) == (found.claimed, True), found.summary


@pytest.mark.parametrize("name", ["modbus", "sim", "system", "virtual"])
def test_a_driver_that_brings_a_peer_passes_the_checks_on_it(name, capsys):
    status = main(
        ["driver", "test", name, "--json", *(f"--only={check}" for check in ("read", "run", "write", "looks"))]
    )
    found = json.loads(capsys.readouterr().out)
    assert [finding for check in found["checks"] for finding in check["findings"]] == []
    assert status == 0
