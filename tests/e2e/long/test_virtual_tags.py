"""Tags without a wire: computed, counted, remembered; seen here, at the broker and after a kill as any other tag is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.eventually import wait_until
from tests.support.ruled import ON, SIREN, Ruled

COMPUTED = {
    "double": {"type": "float64", "value": "boiler.temperature * 2"},
    "quad": {"type": "float64", "value": "site.double * 2"},
    "hot": {"type": "bool", "value": "boiler.temperature > 80"},
    "starts": {"type": "uint32", "counts": "site.hot"},
    "hours": {"type": "float64", "unit": "h", "hours": "site.hot"},
    "seen": {"type": "uint32", "initial": 3, "access": "rw"},
    "note": {"type": "string", "access": "rw"},
}


@pytest.fixture
def site(ruled: Ruled) -> Ruled:
    ruled.virtual(**COMPUTED)
    ruled.rules(
        count={
            "when": "boiler.temperature > 80",
            "start": [{"set": {"site.seen": {"value": "site.seen + 1"}}}],
        },
        many={"when": "site.seen >= 5", "start": [{"write": {"boiler.siren": True}}]},
    )
    return ruled


def values(ruled: Ruled, tag: str) -> list[Any]:
    """What the broker got of a tag of `site` with good quality, in order."""
    rows = ruled.sink.snapshot().readings()
    return [row.value for row in rows if (row.device, row.tag, row.quality) == ("site", tag, "good")]


def shown(ruled: Ruled, *tags: str) -> list[Any]:
    rows = {row["tag"]: row for row in ruled.gateway.ask("tags", "site")["tags"]}
    return [rows[tag]["value"] for tag in tags]


def test_they_are_shown_and_delivered_as_other_tags_are(site: Ruled) -> None:
    site.start()
    for value in (20, 85, 20, 90, 30):
        site.show(temperature=value)
    site.wait_tag("site.starts", 2)
    assert shown(site, "double", "quad", "hot", "seen") == [60.0, 120.0, False, 5]
    assert site.tag("site.hours")["unit"] == "h"
    wait_until(lambda: values(site, "seen")[-1:] == [5], 20, why=lambda: f"delivered: {values(site, 'seen')}")
    assert values(site, "seen") == [3, 4, 5]
    wait_until(lambda: values(site, "double")[-1:] == [60.0], 20, why="delivered")
    doubles = values(site, "double")
    assert [value for value in doubles if value in (40, 170, 180, 60)] == [40, 170, 40, 180, 60]
    assert values(site, "quad") == [2 * value for value in doubles]
    assert [value for value in values(site, "starts") if value] == [1, 2]
    site.wait_writes([(SIREN, ON)])
    hours = site.tag("site.hours")
    assert hours["quality"] == "good"
    site.end()


def test_a_computed_tag_is_as_good_as_its_worst_input(site: Ruled) -> None:
    site.start()
    site.show(temperature=30)
    site.wait_tag("site.quad", 120.0)
    site.boiler.server.mode = "silent"
    site.wait_tag("site.quad", None, "bad/comm")
    site.boiler.server.mode = "good"
    site.wait_tag("site.quad", 120.0)
    site.end()


def test_what_is_remembered_is_there_after_a_kill(site: Ruled) -> None:
    site.start()
    site.show(temperature=85)
    site.wait_tag("site.starts", 1)
    done = site.gateway.cli("write", "site.note=changed the seal", "--json")
    assert (done.code, done.json["results"][0]["code"]) == (0, 200), done
    site.wait_audit(tag="note", via="local", code=200)
    site.wait_audit(who="rule:count", tag="seen", new=4)
    wait_until(lambda: values(site, "seen")[-1:] == [4], 20, why="it is on disk")
    wait_until(lambda: values(site, "note"), 20, why="it is on disk")
    for _ in range(2):
        site.crash()
        site.wait_polls(4)
        assert shown(site, "note", "seen") == ["changed the seal", 4]
        assert site.tag("site.seen")["quality"] == "good"
    site.show(temperature=20)
    site.show(temperature=86)
    site.wait_tag("site.seen", 5)
    site.wait_writes([(SIREN, ON)])
    site.end()


def test_totals_go_on_over_a_clean_stop_and_over_a_kill(site: Ruled) -> None:
    site.start()
    for value in (85, 20, 95, 20):
        site.show(temperature=value)
    site.wait_tag("site.starts", 2)
    hours = site.tag("site.hours")["value"]
    assert hours > 0
    wait_until(lambda: values(site, "starts")[-1:] == [2], 20, why="it is on disk")
    assert site.gateway.stop() == 0
    site.start()
    site.show(temperature=21)
    assert shown(site, "starts", "hours") == [2, hours]
    site.show(temperature=85)
    site.show(temperature=22)
    site.wait_tag("site.starts", 3)
    wait_until(lambda: values(site, "starts")[-1:] == [3], 20, why="it is on disk")
    wait_until(lambda: 22 in [row.value for row in site.sink.snapshot().readings()], 20, why="it is on disk")
    site.crash()
    site.show(temperature=23)
    assert shown(site, "starts") == [3], "no snapshot since: the journal has it"
    assert site.tag("site.hours")["value"] > hours
    site.end()


def test_only_a_memory_can_be_written_and_only_within_its_type(site: Ruled) -> None:
    site.start()
    site.show(temperature=30)
    assert site.gateway.cli("write", "site.double=5").code == 1
    assert site.gateway.cli("write", "site.seen=many").code != 0
    assert site.gateway.cli("write", "site.seen=1.5").code == 1
    cloud = site.cloud()
    assert cloud.result(cloud.send("write", "site", {"values": {"double": 1}}))["code"] in (400, 403)
    assert cloud.result(cloud.send("write", "site", {"values": {"seen": 9}}))["code"] == 200
    site.wait_tag("site.seen", 9)
    site.wait_writes([(SIREN, ON)])
    site.end()


def test_totals_and_latches_go_on_over_a_kill_soon_after_the_first_start(site: Ruled) -> None:
    """No snapshot has been due yet: the journal has everything since the start."""
    latch = {"type": "bool", "value": "hysteresis(boiler.temperature, 30, 80)"}
    site.virtual(**COMPUTED, latch=latch)
    site.start()
    for value in (85, 20, 95, 50):
        site.show(temperature=value)
    site.wait_tag("site.starts", 2)
    site.wait_tag("site.latch", True)
    assert shown(site, "latch", "starts") == [True, 2]
    wait_until(lambda: 50 in [row.value for row in site.sink.snapshot().readings()], 20, why="it is on disk")
    site.crash()
    site.show(temperature=51)
    assert shown(site, "latch", "starts") == [True, 2]
    assert site.tag("site.hours")["value"] > 0
    site.end()
