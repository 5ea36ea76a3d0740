"""The schemas in config/schema are those of this code, and accept what the loader accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.registry import Registry
from gateway.serving.registry import ServerRegistry
from gateway.settings.foreign import foreign_documents
from gateway.settings.positions import Problems
from gateway.settings.schema import as_text, generate
from gateway.settings.yaml_reader import read_documents
from tests.unit.settings.json_schema import faults

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config"


def schemas() -> dict[str, dict[str, Any]]:
    registry, servers = Registry(), ServerRegistry()
    drivers = [registry.load(name) for name in registry.names()]
    return generate(drivers, [servers.load(name) for name in servers.names()])


def test_the_written_schemas_are_up_to_date() -> None:
    """Else run `python -m gateway.settings.schema`."""
    written = {path.name: path.read_text(encoding="utf-8") for path in (CONFIG / "schema").glob("*.json")}
    assert written == {name: as_text(schema) for name, schema in schemas().items()}


def schema_for(path: Path, data: Any) -> str:
    if path.name == "gateway.yaml":
        return "gateway.json"
    by_folder = {"profiles": "profile.json", "rules": "rules.json", "alarms": "alarms.json"}
    return by_folder.get(path.parent.name) or f"channel-{data['driver']}.json"


def is_ours(path: Path) -> bool:
    """Beside a tree may be files about it that are no part of it (the tests of its rules), inside it those of others."""
    return path.parent.name != "tests" and not foreign_documents(
        f"{path.parent.name}/{path.name}", path.read_bytes(), Problems()
    )


FILES = sorted(filter(is_ours, CONFIG.rglob("*.yaml")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIG)))
def test_the_schemas_accept_every_example(path: Path) -> None:
    problems = Problems()
    documents = read_documents(path.name, path.read_bytes(), problems)
    assert not problems.sorted()
    for document in documents:
        schema = json.loads((CONFIG / "schema" / schema_for(path, document.data)).read_text())
        assert not faults(document.data, schema)


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("gateway.json", {"gateway": {"id": "a"}, "uplink": {}}, "unknown key uplink"),
        ("gateway.json", {"clock": {"trust": "ntp"}}, "lacks gateway"),
        ("gateway.json", {"gateway": {"id": "a"}, "store": {"commit_interval": 5}}, "fits no alternative"),
        ("gateway.json", {"gateway": {"id": "a"}, "clock": {"trust": "gps"}}, "fits no alternative"),
        ("channel-modbus.json", {"driver": "sim"}, "is not modbus"),
        ("channel-modbus.json", {"driver": "modbus", "devices": {"a": {"unit": 1}}}, "unknown key unit"),
        ("profile.json", {"p": {"tags": {"t": {"type": "unit16"}}}}, "fits no alternative"),
        ("profile.json", {"p": {"alarms": {"a": {"tag": "t", "abov": 5}}}}, "unknown key abov"),
        ("rules.json", {"r": {"wen": "a.b"}}, "unknown key wen"),
        ("rules.json", {"r": {"start": [{"wirte": {}}]}}, "unknown key wirte"),
        ("alarms.json", {"a": {"priority": "hihg"}}, "fits no alternative"),
        ("gateway.json", {"gateway": {"id": "a"}, "notify": {"a": {"mqtt": {"tpic": "x"}}}}, "unknown key tpic"),
    ],
)
def test_the_schemas_refuse_what_is_wrong(name: str, data: Any, fault: str) -> None:
    assert any(fault in found for found in faults(data, schemas()[name]))
