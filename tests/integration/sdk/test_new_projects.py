"""`fieldpost driver new` makes a driver that passes `fieldpost driver test` as it is."""

from __future__ import annotations

import json

import pytest

from gateway.cli.main import main
from tests.support.dists import install


@pytest.mark.parametrize(("name", "more"), [("acme", []), ("acme-events", ["--push"])])
def test_a_new_driver_passes_the_conformance_checks_untouched(name, more, tmp_path, monkeypatch, capsys):
    assert main(["driver", "new", name, *more, "--dir", str(tmp_path)]) == 0
    project = tmp_path / f"fieldpost-{name}"
    package = f"fieldpost_{name.replace('-', '_')}"
    install(project / "src", project.name, {name: f"{package}:SPEC"})
    monkeypatch.syspath_prepend(str(project / "src"))
    capsys.readouterr()

    # all of them: tests/e2e/long/test_driver_wheels.py
    checks = (
        "read",
        "run",
        "write",
        "silence",
        "silence-connect",
        "leaks",
        "cut",
        "away-and-back",
        "cancel-run",
        "old-values",
        "settings",
    )
    status = main(["driver", "test", name, "--json", *(f"--only={check}" for check in checks)])
    report = json.loads(capsys.readouterr().out)
    assert [finding for check in report["checks"] for finding in check["findings"]] == []
    assert status == 0
    ran = {check["check"] for check in report["checks"] if check["verdict"] == "pass"}
    assert {"read" if not more else "run", "write", "silence", "leaks", "away-and-back", "loop"} <= ran

    assert main(["driver", "quality", name, "--dir", str(project), "--json"]) == 0
    quality = json.loads(capsys.readouterr().out)
    assert (quality["level"], quality["claimed"]) == ("bronze", "bronze")
    assert main(["driver", "ls", "--json"]) == 0
    (row,) = [row for row in json.loads(capsys.readouterr().out)["drivers"] if row["name"] == name]
    assert row == {
        "name": name, "distribution": f"{project.name} 0.1.0", "contract": 1, "level": "bronze", "trouble": "",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Acme", "1st", "a b", "class", "../up", "x" * 41, ""])
def test_a_name_that_is_none_writes_nothing(name, tmp_path, capsys):
    assert main(["driver", "new", name, "--dir", str(tmp_path)]) == 1
    assert "is no name of a driver" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["modbus", "sim"])
def test_the_name_of_a_driver_that_is_installed_writes_nothing(name, tmp_path, capsys):
    assert main(["driver", "new", name, "--dir", str(tmp_path)]) == 1
    assert f"there is a driver '{name}' already, of fieldpost" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_project_that_exists_is_left_alone(tmp_path, capsys):
    assert main(["driver", "new", "acme", "--dir", str(tmp_path)]) == 0
    mark = tmp_path / "fieldpost-acme" / "README.md"
    mark.write_text("mine")
    assert main(["driver", "new", "acme", "--dir", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert mark.read_text() == "mine"


def test_a_driver_without_a_peer_says_what_it_needs(capsys):
    assert main(["driver", "test", "mqtt"]) == 1
    assert "give --channel FILE" in capsys.readouterr().err


def test_an_unknown_check_and_an_unknown_driver_are_told(capsys):
    assert main(["driver", "test", "sim", "--only", "speed"]) == 2
    assert "there is no check speed" in capsys.readouterr().err
    assert main(["driver", "test", "nosuch"]) == 1
    assert "installed:" in capsys.readouterr().err
