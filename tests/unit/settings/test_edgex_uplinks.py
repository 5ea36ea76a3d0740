"""Uplinks of codec `edgex`: what a file means, and hashes that do not know of it."""

from __future__ import annotations

import pytest

from gateway.settings.types import UplinkSettings
from tests.unit.settings.toy import Load

HEAD = "gateway: {id: plant-7}\nstore: {path: /data}\nuplinks:\n  bus:\n    urls: [mqtt://127.0.0.1]\n"


def uplink(load: Load, more: str) -> UplinkSettings:
    (found,) = load({"gateway.yaml": HEAD + more}).uplinks
    return found


def test_it_carries_good_readings_in_envelopes_and_nothing_else(load: Load) -> None:
    found = uplink(load, "    codec: edgex\n")
    assert (found.select.streams, found.quality, found.envelope) == (("telemetry",), "good", True)
    assert not found.numbered
    assert uplink(load, "    codec: edgex\n    select: {streams: [telemetry]}\n").select == found.select


@pytest.mark.parametrize(
    ("topic", "envelope"),
    [
        ("edgex/events/device/{service}/{profile}/{device}/{source}", True),
        ("site/{tenant}/{gateway}/{profile}/{device}/{source}", True),
        ("events", False),
        ("{device}", False),
    ],
)
def test_topics_that_its_reader_can_take(load: Load, topic: str, envelope: bool) -> None:  # noqa: FBT001 - a case
    found = uplink(load, f'    codec: edgex\n    topic: "{topic}"\n    envelope: {str(envelope).lower()}\n')
    assert (found.topic, found.envelope) == (topic, envelope)


def test_each_of_its_words_has_a_part_in_the_hash(load: Load) -> None:
    lines = ("codec: edgex", "codec: edgex\n    quality: all", "codec: edgex\n    envelope: false", "codec: json")
    hashes = {load({"gateway.yaml": f"{HEAD}    {line}\n"}).hash for line in lines}
    assert len(hashes) == len(lines)
