"""docs/reference/config.md is complete: each key of each section, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus.server import settings as modbus
from drivers.opcua.server import settings as opcua
from gateway.rulebook import NOTIFY_FIELDS, STEP_KINDS
from gateway.settings import keys, ota_keys, reserved, rule_keys, watch_keys
from gateway.settings.channel_file import CHANNEL_DEFAULTS
from gateway.settings.convert import fields_of
from gateway.settings.gateway_file import SECTIONS
from gateway.settings.keys import TAG_DEFAULTS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
HEADINGS: dict[str, Any] = {
    "`gateway`": keys.GatewayKeys,
    "`clock`": keys.ClockKeys,
    "`store`": keys.StoreKeys,
    "`store.journal`": keys.JournalKeys,
    "`shadow`": keys.ShadowKeys,
    "`apply`": keys.ApplyKeys,
    "`uplinks`": keys.UplinkKeys,
    "`imports`": keys.ImportKeys,
    "`ota`": ota_keys.OtaKeys,
    "`ota` `drivers`": ota_keys.OtaDriverKeys,
    "`tls`": keys.TlsKeys,
    "`select`": keys.SelectKeys,
    "`batch`": keys.BatchKeys,
    "`rate`": keys.RateKeys,
    "`reconnect`": keys.ReconnectKeys,
    "channel": keys.ChannelKeys,
    "group": keys.GroupKeys,
    "`watch`": watch_keys.WatchKeys,
    "device": keys.DeviceKeys,
    "profile": keys.ProfileKeys,
    "tag": keys.TagKeys,
    "command": keys.CommandKeys,
    "tag of a command": keys.CommandTagKeys,
    "`write`": keys.WriteKeys,
    "`on_reconnect`": keys.ReconnectTagKeys,
    "`verify`": keys.VerifyKeys,
    "`deadband`": keys.DeadbandKeys,
    "`servers`": keys.ServerKeys,
    "`select`, of a server": keys.ServerSelectKeys,
    "`rules`": rule_keys.RulesKeys,
    "`notify`": rule_keys.NotifyKeys,
    "`notify` `mqtt`": rule_keys.NotifyMqttKeys,
    "`notify` `webhook`": rule_keys.NotifyWebhookKeys,
    "`notify` `smtp`": rule_keys.NotifySmtpKeys,
    "`resend`": rule_keys.ResendKeys,
    "rule": rule_keys.RuleKeys,
    "`every`": rule_keys.EveryKeys,
    "rule `alarm`": rule_keys.RuleAlarmKeys,
    "step value": rule_keys.ValueKeys,
    "step `publish`": rule_keys.PublishKeys,
    "step `webhook`": rule_keys.WebhookKeys,
    "step `log`": rule_keys.LogKeys,
    "step `command`": rule_keys.CommandKeys,
    "step `notify`": rule_keys.TellKeys,
    "alarm": rule_keys.AlarmKeys,
    "level": rule_keys.LevelKeys,
    "`rate`, of an alarm": rule_keys.RateLimitKeys,
    "`deviation`": rule_keys.DeviationKeys,
}

SERVERS: dict[str, Any] = {
    "server `modbus`": modbus.ServerSettings,
    "server `modbus`, `map`": modbus.PlaceKeys,
    "server `opcua`": opcua.ServerSettings,
    "server `opcua`, `users`": opcua.UserKeys,
}
"""Keys of the kinds of servers."""


def section(heading: str) -> str:
    match = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    assert match, heading
    return match[1]


@pytest.mark.parametrize("heading", [*HEADINGS, *SERVERS])
def test_each_key_is_documented_in_its_section_and_no_other(heading: str) -> None:
    documented = re.findall(r"^\| `([^`]+)` \|", section(heading), re.M)
    assert sorted(documented) == sorted(fields_of((HEADINGS | SERVERS)[heading]))


def test_every_struct_of_the_settings_is_documented() -> None:
    structs = {
        name for module in (keys, ota_keys, rule_keys, watch_keys) for name in vars(module) if name.endswith("Keys")
    }
    assert structs == {struct.__name__ for struct in HEADINGS.values()}


@pytest.mark.parametrize("heading", [*HEADINGS, *SERVERS])
def test_required_keys_are_told_so(heading: str) -> None:
    told = set(re.findall(r"^\| `([^`]+)` \| required", section(heading), re.M))
    needed = {name for name, field in fields_of((HEADINGS | SERVERS)[heading]).items() if field.required}
    assert needed <= told


def test_sections_defaults_and_reserved_words_are_named() -> None:
    words = {*SECTIONS, *CHANNEL_DEFAULTS, *TAG_DEFAULTS, *reserved.CODECS}
    for table in (reserved.GATEWAY, reserved.UPLINK, reserved.CHANNEL, reserved.DEVICE, reserved.PROFILE, reserved.TAG):
        words |= set(table)
    assert not {word for word in words if f"`{word}`" not in PAGE}


def test_every_step_and_every_place_of_a_notification_is_documented() -> None:
    steps = section("step")
    assert not {kind for kind in STEP_KINDS if f"| `{kind}: " not in steps}
    assert not {name for name in NOTIFY_FIELDS if f"`{{{name}}}`" not in section("`notify`")}
