"""Every issue that the gateway can raise has a system alarm, and every system alarm is of such an issue."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from gateway.rulebook import PRIORITIES
from rules.alarms.catalogue import CATALOGUE, GROUPS, spec_of

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/reference/issues.md"
SETTERS = {"set", "_set", "issue"}
HOLDERS = re.compile(r"health|ctx|self$")
WORD = re.compile(r"[a-z]+(_[a-z]+)+")


def _word(node: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return constants.get(node.id, "") if isinstance(node, ast.Name) else ""


def _pairs(node: ast.stmt) -> list[tuple[str, ast.expr]]:
    """Constants that are given together: A, B = "a", "b"."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Tuple):
        return []
    values = node.value.elts if isinstance(node.value, ast.Tuple) else []
    return [(ast.unparse(name), value) for name, value in zip(node.targets[0].elts, values, strict=False)]


def raised() -> set[str]:
    """First words given to whatever raises an issue, constants followed; and the store's table of what it tells."""
    found = set()
    for part in ("gateway", "drivers", "rules"):
        for file in (ROOT / part).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            constants = {
                node.targets[0].id: _word(node.value, {})
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            pairs = [pair for node in tree.body for pair in _pairs(node)]
            constants |= {name: _word(value, {}) for name, value in pairs}
            # what a driver lists as OBSTACLES is raised by the error that carries it
            for node in tree.body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OBSTACLES":
                    found |= {constants[name.id] for name in ast.walk(node.value) if isinstance(name, ast.Name)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                    if node.func.attr in SETTERS and HOLDERS.search(ast.unparse(node.func.value)):
                        found.add(_word(node.args[0], constants))
                elif isinstance(node, ast.Tuple) and file.name == "telling.py":
                    found.update(_word(each, {}) for each in node.elts[:1])
    return {word for word in found if WORD.fullmatch(word)}


def test_every_issue_has_an_alarm() -> None:
    found = raised()
    assert len(found) > 30
    assert {
        "device_offline",
        "device_maintenance",
        "tag_forced",
        "store_restored",
        "answers_late",
        "uplink_no_ack",
    } <= found
    assert found - set(CATALOGUE) == set()
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert documented - set(CATALOGUE) == set()


def test_every_alarm_is_of_an_issue_or_of_one_that_is_decided() -> None:
    monitored = {
        *("cpu_high", "cpu_critical", "memory_high", "memory_critical", "disk_low", "disk_critical"),
        *("clock_unsynced", "clock_stepped", "certificate_expires", "update_failed"),
        *("rule_failed", "rule_overrun", "rule_cycle", "action_failed", "notify_failed"),
    }
    assert monitored <= set(CATALOGUE)
    assert set(CATALOGUE) - monitored - raised() == set()


@pytest.mark.parametrize("alarm", CATALOGUE.values(), ids=CATALOGUE)
def test_an_alarm_of_the_catalogue_is_whole(alarm) -> None:
    assert alarm.priority in PRIORITIES
    assert alarm.group in GROUPS
    assert alarm.text
    assert alarm.action
    assert "{" not in alarm.text, "no template"
    assert CATALOGUE[alarm.id] is alarm


def test_every_group_has_an_alarm() -> None:
    assert {alarm.group for alarm in CATALOGUE.values()} == set(GROUPS)


def test_the_alarm_of_an_issue_follows_it() -> None:
    alarm = spec_of("device_offline", "pump")
    assert (alarm.key, alarm.device, alarm.issue, alarm.priority) == (
        "device_offline@pump",
        "pump",
        "device_offline",
        "high",
    )
    assert alarm.text
    assert alarm.action
    assert alarm.group == "", "no first-out among devices"
    assert spec_of("uplink_offline", "plant").device == ""
    assert spec_of("no_such_issue", "plant") is None
