"""docs/reference/config.md is complete: each key of each section, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import keys, reserved
from gateway.settings.channel_file import CHANNEL_DEFAULTS, TAG_DEFAULTS
from gateway.settings.convert import fields_of
from gateway.settings.gateway_file import SECTIONS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
HEADINGS: dict[str, Any] = {
    "`gateway`": keys.GatewayKeys,
    "`clock`": keys.ClockKeys,
    "`store`": keys.StoreKeys,
    "`store.journal`": keys.JournalKeys,
    "`shadow`": keys.ShadowKeys,
    "`uplinks`": keys.UplinkKeys,
    "`tls`": keys.TlsKeys,
    "`select`": keys.SelectKeys,
    "`batch`": keys.BatchKeys,
    "`rate`": keys.RateKeys,
    "`reconnect`": keys.ReconnectKeys,
    "channel": keys.ChannelKeys,
    "group": keys.GroupKeys,
    "device": keys.DeviceKeys,
    "profile": keys.ProfileKeys,
    "tag": keys.TagKeys,
    "`write`": keys.WriteKeys,
    "`on_reconnect`": keys.ReconnectTagKeys,
    "`verify`": keys.VerifyKeys,
    "`deadband`": keys.DeadbandKeys,
}


def section(heading: str) -> str:
    match = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    assert match, heading
    return match[1]


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_key_is_documented_in_its_section_and_no_other(heading: str) -> None:
    documented = re.findall(r"^\| `([^`]+)` \|", section(heading), re.M)
    assert sorted(documented) == sorted(fields_of(HEADINGS[heading]))


def test_every_struct_of_the_settings_is_documented() -> None:
    structs = {name for name in vars(keys) if name.endswith("Keys")}
    assert structs == {struct.__name__ for struct in HEADINGS.values()}


@pytest.mark.parametrize("heading", HEADINGS)
def test_required_keys_are_told_so(heading: str) -> None:
    told = set(re.findall(r"^\| `([^`]+)` \| required", section(heading), re.M))
    needed = {name for name, field in fields_of(HEADINGS[heading]).items() if field.required}
    assert needed <= told


def test_sections_defaults_and_reserved_words_are_named() -> None:
    words = {*SECTIONS, *CHANNEL_DEFAULTS, *TAG_DEFAULTS, *reserved.CODECS}
    for table in (reserved.GATEWAY, reserved.UPLINK, reserved.CHANNEL, reserved.DEVICE, reserved.PROFILE, reserved.TAG):
        words |= set(table)
    assert not {word for word in words | set(reserved.WRITE) if f"`{word}`" not in PAGE}
