"""No word of gateway.yaml changes unseen: each key of its schema has a line in the plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.settings.plan import diff
from gateway.settings.schema import generate
from tests.unit.settings.toy import GATEWAY, Load

OTHERS = {
    "gateway.id": "gateway: {id: plant-8}",
    "gateway.tenant": "gateway: {id: plant-7, tenant: acme}",
    "gateway.timezone": "gateway: {id: plant-7, timezone: Europe/Berlin}",
    "clock.trust": "clock: {trust: rtc}",
    "store.path": "store: {path: /elsewhere}",
    "store.commit_interval": "store: {commit_interval: 2s}",
    "store.checkpoint": "store: {checkpoint: 30s}",
    "store.journal.max_bytes": "store: {journal: {max_bytes: 5MB}}",
    "store.journal.max_age": "store: {journal: {max_age: 5d}}",
    "store.journal.min_age": "store: {journal: {min_age: 1h}}",
    "shadow.authority": "shadow: {authority: gateway}",
    "shadow.max_bytes": "shadow: {max_bytes: 16KiB}",
    "remote_config": "remote_config: signed",
    "apply.uplinks": "apply: {uplinks: 10m}",
    "apply.channels": "apply: {channels: 3m}",
    "apply.rules": "apply: {rules: 2m}",
    "apply.hold": "apply: {hold: 20s}",
    "uplinks": "uplinks: {cloud: {urls: [mqtt://a.example]}}",
    "servers": "servers: {plant: {kind: modbus, listen: '127.0.0.1:1502'}}",
    "rules.dry_run": "rules: {dry_run: true}",
    "rules.budget": "rules: {budget: 10ms}",
    "notify": "notify: {night: {webhook: {url: 'https://a.example'}}}",
    "ota.url": "ota: {url: 'https://a.example'}",
    "ota.ca": "ota: {url: 'https://a.example', ca: a.pem}",
    "ota.token": "ota: {url: 'https://a.example', token: '${credential:ota}'}",
    "ota.max_rate": "ota: {max_rate: 100KB}",
    "ota.window": "ota: {window: '02:00-04:00'}",
    "ota.jitter": "ota: {jitter: 1m}",
    "ota.metered": "ota: {metered: true}",
    "ota.parts": "ota: {parts: never}",
    "ota.drivers.allow": "ota: {drivers: {allow: [acme/*]}}",
}
BY_USE = {"imports.strict_edgex", "imports.interval", "imports.node", "vars"}
"""What these change is seen at the channels and uplinks that they are used in; without one they change nothing."""


def keys(schema: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, below in schema["properties"].items():
        if below.get("properties"):
            yield from keys(below, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_the_keys_tried_here_are_all_keys_of_the_schema() -> None:
    assert {*OTHERS, *BY_USE} == set(keys(generate([])["gateway.json"]))


@pytest.mark.parametrize("key", OTHERS)
def test_each_word_that_changes_is_told(load: Load, key: str) -> None:
    text = OTHERS[key] if key.startswith("gateway.") else f"{GATEWAY}{OTHERS[key]}\n"
    plan = diff(load(), load({"gateway.yaml": text}, secrets={"ota": "a-secret-token"}))
    assert not plan.is_empty
    assert plan.lines()
    assert "a-secret-token" not in json.dumps(plan.as_json())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("remote_config: signed", "~ remote_config: open -> signed"),
        ("remote_config: off", "~ remote_config: open -> off"),
        ("apply: {channels: 150s}", "~ apply.channels: 120s -> 150s"),
    ],
)
def test_a_word_is_told_with_both_of_its_values(load: Load, text: str, line: str) -> None:
    plan = diff(load(), load({"gateway.yaml": f"{GATEWAY}{text}\n"}))
    assert plan.lines() == [line]
    assert plan.as_json()["settings"] == [line.removeprefix("~ ")]
    assert not plan.touched()
