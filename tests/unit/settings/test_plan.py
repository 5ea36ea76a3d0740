"""Plans: what a change restarts, and hashes that name meaning."""

from __future__ import annotations

import json

import pytest

from gateway.settings.plan import diff
from tests.unit.settings.toy import GATEWAY, Load, channel

PUMP = "  pump: {unit: 1, tags: {speed: {address: 1, type: uint16, unit: rpm}, run: {type: bool, address: 2}}}\n"
FAN = "  fan: {unit: 2, tags: {speed: {address: 1, type: uint16}}}\n"
UPLINK = GATEWAY + "uplinks:\n  cloud: {urls: [mqtt://a.example]}\n"


def test_fl_43_only_the_edited_channel_restarts(load: Load) -> None:
    old = load({"channels/a.yaml": channel(PUMP), "channels/b.yaml": channel(FAN)})
    new = load({"channels/a.yaml": channel(PUMP), "channels/b.yaml": channel(FAN.replace("unit: 2", "unit: 3"))})
    plan = diff(old, new)
    assert plan.channels_changed == ("b",)
    assert plan.channels_unchanged == ("a",)
    assert plan.touched() == ("channel:b",)
    assert plan.lines() == ["~ channel b restarts: changed fan"]


def test_fl_44_the_same_tree_again_changes_nothing(load: Load) -> None:
    old, new = load({"channels/a.yaml": channel(PUMP)}), load({"channels/a.yaml": channel(PUMP)})
    assert old.hash == new.hash
    assert diff(old, new).is_empty
    assert diff(old, new).lines() == []


def test_layout_order_and_comments_do_not_count(load: Load) -> None:
    old = load({"channels/a.yaml": channel(PUMP + FAN), "channels/b.yaml": channel("  m: {tags: {}}\n")})
    one_file = (
        "# everything in one file\nchannel: b\ndriver: toy\nurl: toy://1\ndevices: {m: {}}\n---\n"
        "devices:\n"
        "  fan: {tags: {speed: {type: uint16, address: 1}}, unit: 2}\n"
        "  pump:\n    tags:\n      run: {address: 2, type: bool}\n"
        "      speed: {unit: rpm, address: 1, type: uint16}\n    unit: 1\n"
        "url: toy://1\nchannel: a\ndriver: toy\n"
    )
    new = load({"channels/all.yaml": one_file})
    assert new.hash == old.hash
    assert diff(old, new).is_empty


@pytest.mark.parametrize(
    ("gateway", "line"),
    [
        (UPLINK.replace("a.example", "b.example"), "~ uplink cloud restarts: urls"),
        (GATEWAY, "- uplink cloud stops"),
        (UPLINK + "  local: {urls: [mqtt://c.example], codec: flat}\n", "+ uplink local starts"),
        (UPLINK.replace("id: plant-7", "id: plant-8"), "! gateway.id changes with the next restart of the gateway"),
        (UPLINK + "store: {path: /elsewhere}\n", "! store.path changes with the next restart of the gateway"),
        (
            UPLINK + "store: {journal: {max_bytes: 5MB}}\n",
            "! store.journal.max_bytes changes with the next restart of the gateway",
        ),
        (UPLINK + "shadow: {max_bytes: 16KiB}\n", "! shadow.max_bytes changes with the next restart of the gateway"),
        (UPLINK + "clock: {trust: rtc}\n", "! clock.trust changes with the next restart of the gateway"),
    ],
)
def test_each_change_is_told_and_gives_another_hash(load: Load, gateway: str, line: str) -> None:
    old, new = load({"gateway.yaml": UPLINK}), load({"gateway.yaml": gateway})
    plan = diff(old, new)
    assert line in plan.lines()
    assert old.hash != new.hash
    assert not plan.is_empty
    assert json.loads(json.dumps(plan.as_json()))["lines"] == plan.lines()


def test_a_channel_comes_and_goes(load: Load) -> None:
    old, new = load({"channels/a.yaml": channel(PUMP)}), load({"channels/b.yaml": channel(FAN)})
    assert diff(old, new).lines() == ["- channel a stops", "+ channel b starts"]
    # what goes can never come up again, so nothing may wait for it
    assert diff(old, new).touched() == ("channel:b",)


def test_fl_60_a_rotated_password_keeps_the_hash_and_never_shows(load: Load) -> None:
    gateway = UPLINK.replace("a.example]", "a.example], username: me, password: '${credential:mqtt}'")
    line = channel(PUMP, head="password: ${credential:plc}\n")
    tree = {"gateway.yaml": gateway, "channels/a.yaml": line}
    old = load(tree, secrets={"mqtt": "first-secret", "plc": "plc-secret"})
    new = load(tree, secrets={"mqtt": "second-secret", "plc": "plc-secret"})
    assert old.uplinks[0].password == "first-secret"
    assert old.hash == new.hash
    plan = diff(old, new)
    assert plan.uplinks_changed == ("cloud",)
    for text in (repr(old.uplinks), json.dumps(plan.as_json())):
        assert "secret" not in text


def test_a_secret_that_looks_like_another_value_changes_only_itself(load: Load) -> None:
    gateway = UPLINK.replace("a.example]", "a.example], username: me, password: '${credential:mqtt}'")
    one = load({"gateway.yaml": gateway}, secrets={"mqtt": "default"})
    two = load({"gateway.yaml": gateway}, secrets={"mqtt": "json"})
    assert one.hash == two.hash
