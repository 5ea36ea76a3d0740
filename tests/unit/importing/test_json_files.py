"""JSON of other gateways that lies in a configuration folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gateway.errors import ConfigError
from gateway.registry import Registry
from gateway.settings.generations import Generations
from gateway.settings.loader import load_tree
from gateway.settings.tree import read_tree

CASES = Path(__file__).parents[2] / "cases/imports/edgex"
FILES = {path.name: path.read_text() for path in sorted(CASES.iterdir())}
FOLDERS = ("profiles", "channels", "channels")
GATEWAY = "gateway: {id: gw}\n"


def folder_of(path: Path, files: dict[str, str]) -> Path:
    for name, text in {"gateway.yaml": GATEWAY, **files}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def as_they_are() -> dict[str, str]:
    return {f"{folder}/{name}": text for folder, (name, text) in zip(FOLDERS, FILES.items(), strict=True)}


def loaded(folder: Path):
    return load_tree(folder, Registry().load, env={})


def refused(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder)
    return [str(problem) for problem in caught.value.problems]


def of_core_metadata() -> list[object]:
    profile, devices, watcher = (yaml.safe_load(text) for text in FILES.values())
    return [
        [{"apiVersion": "v3", "profile": profile}],
        devices["deviceList"],
        {"apiVersion": "v3", "provisionWatchers": [watcher]},
    ]


@pytest.mark.parametrize("form", ["files", "core-metadata"])
@pytest.mark.parametrize("indent", [None, "\t"])
def test_json_of_edgex_loads_as_its_yaml_does(tmp_path, form, indent):
    data = [yaml.safe_load(text) for text in FILES.values()] if form == "files" else of_core_metadata()
    names = [f"{folder}/{Path(name).stem}.json" for folder, name in zip(FOLDERS, FILES, strict=True)]
    written = {name: json.dumps(each, indent=indent) for name, each in zip(names, data, strict=True)}
    folder = folder_of(tmp_path / "json", written)
    found = loaded(folder)
    assert found.channels
    assert found.hash == loaded(folder_of(tmp_path / "yaml", as_they_are())).hash
    generations = Generations(tmp_path / "state")
    generations.activate(generations.create(read_tree(folder)))
    assert generations.active().files().keys() >= set(names)
    assert generations.drift(folder) == []
    (folder / names[0]).write_text("{}")
    assert generations.drift(folder) == [names[0]]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("channels/own.json", '{"driver": "sim"}', "channels/own.json: the file is not read"),
        ("profiles/model.json", '{"id": 1, "group": {}}', "profiles/model.json: the file is not read"),
        ("profiles/P.JSON", '{"deviceResources": []}', "profiles/P.JSON: the file is not read"),
        ("channels/hall/d.json", '{"deviceList": []}', "channels/hall/d.json: the file is not read"),
        ("profiles/cut.json", '{"name": "P",\n "deviceResources": [', "profiles/cut.json:2:22: not JSON"),
        ("profiles/none.json", "", "profiles/none.json:1:1: not JSON"),
    ],
)
def test_other_json_is_told_once_and_never_passed_over(tmp_path, name, text, said):
    (found,) = refused(folder_of(tmp_path, {name: text}))
    assert found.startswith(said)


def test_a_fault_in_a_json_file_is_told_where_it_stands(tmp_path):
    text = '{\n\t"name": "W",\n\t"identifiers": {\n\t\t"Port": "(?=a)"\n\t},\n\t"discoveredDevice": {}\n}'
    (found,) = refused(folder_of(tmp_path, {"channels/w.json": text}))
    assert found.startswith("channels/w.json:4:11: ")
    assert "look-around" in found


def test_json_beside_rules_and_certificates_is_nobodys_business(tmp_path):
    folder = folder_of(tmp_path, {"rules/notes.json": "{", "certs/x.json": "{", "profiles/.p.json": "{", "x.json": "{"})
    assert loaded(folder).channels == ()
