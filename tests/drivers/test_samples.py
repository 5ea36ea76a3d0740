"""The drivers' sample.yaml files: what a newcomer copies must load as it stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

import drivers
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
            assert row["done"] is bool(tests), (folder.name, rule)
