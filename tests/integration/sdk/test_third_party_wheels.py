"""Wheels of others: a good one runs, broken ones are an issue of their own channels and of nobody else."""

from __future__ import annotations

import json

import pytest

from gateway.cli.main import main
from gateway.model import DeviceState
from gateway.registry import Registry
from gateway.settings.credentials import CredentialFolders
from gateway.settings.loader import load_files
from tests.drivers.virtual.test_virtual import Rig
from tests.support.dists import install

SPEC = """
from drivers.sim import SPEC as SIM
from msgspec.structs import replace
SPEC = replace(SIM, name="{name}", contract={contract})
"""
TREE = {"gateway.yaml": "gateway: {id: test}\n"}
REASONS = {
    "lost": "No module named 'a_library_that_is_gone'",
    "ancient": "written for driver contract 99",
    "quits": "SystemExit",
    "twice": "several distributions bring it: one 1.0 and two 2.0; uninstall one",
    "nothing": "is a int, not a DriverSpec",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with the wheels of others."""
    (tmp_path / "good_of_others.py").write_text(SPEC.format(name="good", contract=1))
    (tmp_path / "lost_of_others.py").write_text("import a_library_that_is_gone\n")
    (tmp_path / "quits_of_others.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "ancient_of_others.py").write_text(SPEC.format(name="ancient", contract=99))
    (tmp_path / "twice_of_others.py").write_text(SPEC.format(name="twice", contract=1) + "NOTHING = 7\n")
    names = ("good", "lost", "quits", "ancient")
    install(tmp_path, "others", {name: f"{name}_of_others:SPEC" for name in names})
    install(tmp_path, "one", {"twice": "twice_of_others:SPEC", "nothing": "twice_of_others:NOTHING"}, "1.0")
    install(tmp_path, "two", {"twice": "good_of_others:SPEC"}, "2.0")
    monkeypatch.syspath_prepend(str(tmp_path))


async def test_broken_wheels_are_issues_of_their_channels_and_the_others_run(site):
    tree = dict(TREE)
    for name in ("good", *REASONS):
        tree[f"channels/{name}.yaml"] = f"driver: {name}\ndevices: {{{name}-1: {{tags: {{x: {{type: float64}}}}}}}}\n"
    load = Registry().load
    found = load_files(tree, load, env={}, credentials=CredentialFolders(None, None), keep_unusable=True)
    async with Rig() as rig:
        for channel in found.channels:
            rig.start(channel)
        await rig.state("good-1", DeviceState.ONLINE)
        issues = {issue.entity: issue for issue in rig.health.open() if issue.id == "driver_unavailable"}
        assert issues.keys() == REASONS.keys()
        for name, reason in REASONS.items():
            assert reason in issues[name].text
            assert "fieldpost driver ls" in issues[name].repair


def test_the_list_names_broken_wheels_and_what_is_wrong_with_them(site, capsys):
    assert main(["driver", "ls", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["drivers"]
    for name, reason in REASONS.items():
        assert any(row["name"] == name and reason in row["trouble"] for row in rows), name
    assert [row["distribution"] for row in rows if row["name"] == "twice"] == ["one 1.0", "two 2.0"]
    (good,) = [row for row in rows if row["name"] == "good"]
    assert (good["distribution"], good["contract"], good["trouble"]) == ("others 0.1.0", 1, "")
    assert next(row for row in rows if row["name"] == "modbus")["trouble"] == ""


def test_a_broken_wheel_is_told_by_name_when_it_is_tested(site, capsys):
    assert main(["driver", "test", "lost"]) == 1
    assert "a_library_that_is_gone" in capsys.readouterr().err
    assert main(["driver", "quality", "ancient"]) == 1
    assert "contract 99" in capsys.readouterr().err
