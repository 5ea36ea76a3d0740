"""`fieldpost read` of places that no tag names, alone and beside tags."""

from __future__ import annotations

import pytest
import yaml

from tests.support.simulated import Simulated

PROFILE = (
    "p: {tags: {level: {address: holding/10, type: uint16}, word: {address: holding/11, type: uint16}, "
    "far: {address: holding/200, type: uint16}}}\n"
)


@pytest.fixture
def gateway(make_gateway, processes, tmp_path):
    profile = tmp_path / "p.yaml"
    profile.write_text(PROFILE)
    device = Simulated(processes, tmp_path, str(profile), "--static", "--set", "level=9", "--set", "word=8")
    made = make_gateway()
    made.write_main(uplinks={})
    channel = yaml.safe_load("{" + device.place + "}") | {"driver": "modbus"}
    channel["devices"] = {"m": {"unit_id": 1, "tags": {"level": {"address": "holding/10", "type": "uint16"}}}}
    made.write("channels/bus.yaml", channel)
    made.start()
    return made


def test_what_is_read_by_its_address_is_shown_or_told_why_not(gateway):
    refused = gateway.cli("read", "m.holding/50")
    assert refused.code == 1
    assert "m.holding/50: refused: exception 2: illegal data address" in refused.out
    assert "nothing answered" not in refused.out

    bit = gateway.cli("read", "m.holding/11.3")
    assert bit.code != 0
    assert "--type bool" in bit.out + bit.err
    assert gateway.ask("read", "m.holding/11.3", "--type", "bool")["tags"][0]["value"] is True

    assert gateway.cli("read", "m.holding/10", "--type", "uint16", "--scale", "nan").code == 2

    mixed = gateway.ask("read", "m.holding/11", "m.level")
    assert [row["value"] for row in mixed["tags"]] == [9]
    assert mixed["findings"][-1]["rows"][0]["uint16"] == 8
    shown = gateway.cli("read", "m.holding/11", "m.level")
    assert shown.code == 0
    assert "m.level" in shown.out
    assert "holding/11" in shown.out
