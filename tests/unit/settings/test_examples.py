"""Everything shown to users loads: the default folder, each example, each YAML block of the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.model import Quality
from gateway.registry import Registry
from gateway.settings.loader import load_files, load_tree
from rules.expression import RuleExpressions
from tests.unit.settings.toy import GATEWAY

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path for path in (ROOT / "config" / "examples").iterdir() if path.is_dir())
# A block is a file of a tree when its first line is a comment with the file's name: `# channels/line1.yaml`.
BLOCK = re.compile(
    r"^```yaml\n# (?:my-site/)?(?P<file>(?:gateway|(?:channels|profiles|rules|alarms)/\S+?)(?:\.yaml)?)\n(?P<text>.*?)^```$",
    re.M | re.S,
)


class AnySecret:
    """Every credential exists."""

    def path(self, name: str) -> Path:
        return Path("/credentials") / name

    def read(self, name: str) -> str:
        return f"secret of {name}"


ENV = {"HOSTNAME": "plant-7"}


def test_the_default_folder_loads_without_any_credential() -> None:
    settings = load_tree(ROOT / "config", Registry().load, env={}, expressions=RuleExpressions())
    assert [channel.id for channel in settings.channels] == ["simulated"]
    assert {device.id for device in settings.channels[0].devices} == {"boiler", "pump1", "pump2"}
    assert not settings.uplinks
    assert settings.store.path == ROOT / "config" / "../state"


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_each_example_loads(folder: Path) -> None:
    settings = load_tree(folder, Registry().load, env=ENV, credentials=AnySecret(), expressions=RuleExpressions())
    assert settings.channels or settings.uplinks


def document_blocks() -> list[tuple[str, dict[str, str]]]:
    """The YAML files shown in each document; a file shown twice in one document starts a new tree."""
    trees = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        files: dict[str, str] = {}
        for match in BLOCK.finditer(page.read_text(encoding="utf-8") if page.exists() else ""):
            name = match["file"] if match["file"].endswith(".yaml") else match["file"] + ".yaml"
            if name in files:
                trees.append((str(page.relative_to(ROOT)), files))
                files = {}
            files[name] = match["text"]
        if files:
            trees.append((str(page.relative_to(ROOT)), files))
    return trees


def test_each_yaml_block_of_the_documents_loads() -> None:
    trees = document_blocks()
    assert any(page == "docs/reference/config.md" for page, _ in trees)
    for page, files in trees:
        tree = {"gateway.yaml": GATEWAY, **files}
        settings = load_files(tree, Registry().load, env=ENV, credentials=AnySecret(), expressions=RuleExpressions())
        assert settings.hash, page


def test_the_rule_of_the_readme_stands_on_its_first_configuration() -> None:
    (files,) = [files for page, files in document_blocks() if page == "README.md"]
    assert files.keys() == {"channels/line1.yaml", "rules/pump.yaml"}


def test_the_reference_names_every_quality_that_a_person_sees() -> None:
    text = (ROOT / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
    assert Quality.BAD_SENSOR.text in text
