"""Which files of a folder count, and what happens with files that nobody can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.settings.loader import load_tree
from gateway.settings.tree import read_tree, scan
from tests.unit.settings.toy import GATEWAY, TOY, channel


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_only_yaml_of_the_tree_is_read(tmp_path: Path) -> None:
    files = {
        "gateway.yaml": GATEWAY,
        "channels/a.yaml": channel(),
        "channels/.a.yaml.swp": "x",
        "channels/.hidden.yaml": "x",
        "channels/a.yaml~": "x",
        "channels/README.md": "x",
        "credentials/a.yaml": "x",
        "examples/other/gateway.yaml": "x",
        ".git/x.yaml": "x",
        "notes.txt": "x",
    }
    assert sorted(read_tree(write(tmp_path, files))) == ["channels/a.yaml", "gateway.yaml"]


def test_files_that_look_like_configuration_but_are_not_read_are_told(tmp_path: Path) -> None:
    files = {
        "gateway.yaml": GATEWAY,
        "channels/hall/a.yaml": channel(),
        "line1.yaml": channel(),
        "profiles/p.YAML": "p: {}\n",
    }
    with pytest.raises(ConfigError) as caught:
        load_tree(write(tmp_path, files), {"toy": TOY}, env={})
    assert [problem.file for problem in caught.value.problems] == [
        "channels/hall/a.yaml",
        "line1.yaml",
        "profiles/p.YAML",
    ]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration folder"):
        load_tree(tmp_path / "none", {"toy": TOY}, env={})
    files, problems = scan(tmp_path / "none")
    assert not files
    assert "cannot be read" in problems[0].message


def test_loading_writes_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, {"gateway.yaml": GATEWAY + "store: {path: state}\n", "channels/a.yaml": channel()})
    before = sorted(folder.rglob("*"))
    settings = load_tree(folder, {"toy": TOY}, env={})
    assert settings.store.path == folder / "state"
    assert sorted(folder.rglob("*")) == before


def test_empty_rules_and_alarms_are_no_fault(tmp_path: Path) -> None:
    files = {"gateway.yaml": GATEWAY, "rules/later.yaml": "# nothing yet\n", "alarms/later.yaml": ""}
    assert load_tree(write(tmp_path, files), {"toy": TOY}, env={}).id == "plant-7"


def test_5000_tags_load_with_one_place_for_the_only_fault(tmp_path: Path) -> None:
    """A large tree is one pass: the fault in its last line is found among all."""
    lines = [f"    t{number}: {{address: 1, type: uint16, unit: V}}" for number in range(4999)]
    profile = "\n".join(["big:", "  tags:", *lines, "    last: {address: 100, type: uint16}", ""])
    files = {
        "gateway.yaml": GATEWAY,
        "channels/a.yaml": channel("  d{1..3}: {profile: big}\n"),
        "profiles/b.yaml": profile,
    }
    with pytest.raises(ConfigError) as caught:
        load_tree(write(tmp_path, files), {"toy": TOY}, env={})
    assert [(one.file, one.line, one.column) for one in caught.value.problems] == [("profiles/b.yaml", 5002, 21)]


def test_of_a_file_that_is_far_too_large_no_more_is_read_than_tells_so(tmp_path: Path) -> None:
    write(tmp_path, {"gateway.yaml": GATEWAY})
    large = tmp_path / "channels" / "dump.yaml"
    large.parent.mkdir()
    with large.open("wb") as file:
        file.truncate(1 << 34)  # a hole: reading all of it would need 16 GB of memory
    files, problems = scan(tmp_path)
    assert not problems
    assert len(files["channels/dump.yaml"]) == 8_000_001
    with pytest.raises(ConfigError) as caught:
        load_tree(tmp_path, {"toy": TOY}, env={})
    assert [str(problem) for problem in caught.value.problems] == [
        "channels/dump.yaml:1:1: larger than 8 MB (split it into several files)"
    ]
