"""Events of EdgeX from the installed gateway over a real broker: whole, and the same again whatever breaks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import counting
from tests.support.eventually import wait_until
from tests.support.scene import Scene
from tests.support.sink import Message, Sink
from tests.unit.edgexevents.edgex_schema import event_faults, opened

MakeScene = Callable[..., Scene]
MakeSink = Callable[..., Sink]
REGISTERS = 12
INTERVAL_S = 0.5


def write_config(scene: Scene, *, strict: bool = False, **uplink: Any) -> None:
    """Three registers are polled together as `few`; the others are alone, but for two that a command names."""
    profile = counting.profile(REGISTERS)
    tags = profile["counter"]["tags"]
    for number in range(3):
        tags[f"r{number:03d}"]["group"] = "few"
    for number in (3, 4):
        tags[f"r{number:03d}"]["group"] = "pair"
    tags["r005"] |= {"type": "int16", "scale": 0.1, "unit": "C", "meta": {"name": "Room Temperature"}}
    if strict:
        tags["r006"] |= {"type": "uint16", "offset": -1000, "strict_edgex": True}
        tags["r007"]["local"] = True
    profile["counter"]["commands"] = {"Values": {"tags": ["r003", "r004"]}}
    cloud = {"urls": [scene.broker.url], "codec": "edgex", **uplink}
    scene.gateway.write_main(uplinks={"edgex": cloud})
    scene.gateway.write("profiles/counter.yaml", profile)
    for line in range(len(scene.plant.lines)):
        channel = counting.channel(scene.plant, line, interval=f"{int(INTERVAL_S * 1000)}ms")
        channel["groups"] = {"few": "500ms", "pair": "500ms"}
        scene.gateway.write(f"channels/line{line:02d}.yaml", channel)


def taken(messages: list[Message]) -> dict[str, dict[str, Any]]:
    """Events by id, each checked as core-data does; one that came twice must be the same to the byte."""
    payloads: dict[str, bytes] = {}
    events: dict[str, dict[str, Any]] = {}
    for message in messages:
        event = opened(message.topic, message.payload)
        assert payloads.setdefault(event["id"], message.payload) == message.payload
        events[event["id"]] = event
    return events


def counts(events: dict[str, dict[str, Any]]) -> dict[str, dict[int, int]]:
    """Per device how many registers carried each count."""
    seen: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for event in events.values():
        for reading in event["readings"]:
            value = reading["value"]
            count = round(float(value) * 10) if reading["valueType"] == "Float64" else int(value)
            seen[event["deviceName"]][count] += 1
    return seen


@pytest.fixture
def scene(make_scene: MakeScene, make_sink: MakeSink) -> tuple[Scene, Sink]:
    scene = make_scene(2, start=False)
    return scene, make_sink(scene.broker.port, client_id="core-data", topic="edgex/#", root="edgex")


@pytest.mark.timeout(180)
def test_nothing_is_missing_and_ids_stay_over_kills_and_a_broker_that_was_away(
    scene: tuple[Scene, Sink], tmp_path: Path
) -> None:
    site, core_data = scene
    write_config(site)
    site.gateway.start()
    site.wait_polls(4)
    for _ in range(2):
        site.kill_gateway()
        site.gateway.start()
        site.wait_polls(3)
    site.broker.stop()
    site.wait_polls(4)
    site.kill_gateway()
    site.broker.start()
    site.gateway.start()
    site.wait_polls(4)
    mark = site.plant.counts()

    def missing() -> dict[str, list[int]]:
        seen = counts(taken(list(core_data.messages)))
        found = {}
        for unit, last in mark.items():
            name = counting.device(unit)
            wanted = set(range(1, last + 1)) - site.losses.allowed[name]
            found[name] = sorted(count for count in wanted if seen[name][count] != REGISTERS)
        return {name: holes for name, holes in found.items() if holes}

    wait_until(lambda: not missing(), 60, every=0.5, why=lambda: f"all counts, missing {missing()}")
    site.gateway.wait_drained(uplink="edgex", below=200)
    file = tmp_path / "events.jsonl"
    answer = site.gateway.cli("journal", "--format", "edgex", "-o", str(file), "--json")
    assert answer.json["missing"] == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert answer.json["events"] == len(lines)
    received = taken(list(core_data.messages))
    kept = {event["id"]: event for event in lines}
    assert len(kept) == len(lines)
    assert not [each for each in received if each not in kept], "sent, but not in the journal"
    assert all(kept[each] == event for each, event in received.items()), "the file has what was sent"
    assert not [fault for event in lines for fault in event_faults(event)]
    assert not (tmp_path / "events.jsonl.part").exists()


def test_events_name_device_source_and_resource_and_carry_the_value_types(scene: tuple[Scene, Sink]) -> None:
    site, core_data = scene
    write_config(site, strict=True)
    site.gateway.start()
    wait_until(lambda: len(core_data.messages) > 40, 30, why="events")
    events = list(taken(list(core_data.messages)).values())
    sources = {event["sourceName"] for event in events}
    assert sources == {
        "few",
        "Values",
        "Room Temperature",
        "r006",
        *(f"r{number:03d}" for number in range(8, REGISTERS)),
    }
    few = next(event for event in events if event["sourceName"] == "few")
    assert [each["resourceName"] for each in few["readings"]] == ["r000", "r001", "r002"]
    assert {each["valueType"] for each in few["readings"]} == {"Uint16"}
    assert (few["profileName"], few["deviceName"]) == ("counter", counting.device((0, 1)))
    (reading,) = next(event for event in events if event["sourceName"] == "Room Temperature")["readings"]
    assert (reading["valueType"], reading["units"]) == ("Float64", "C")
    (strict,) = next(event for event in events if event["sourceName"] == "r006")["readings"]
    assert (strict["valueType"], strict["value"]) == ("String", "overflow")
    topics = {message.topic for message in core_data.messages}
    assert f"edgex/events/device/gw/counter/{counting.device((0, 1))}/Room%20Temperature" in topics
    with_since = site.gateway.cli("journal", "--format", "edgex", "--since", "1h")
    assert {json.loads(line)["id"] for line in with_since.out.splitlines()} >= {event["id"] for event in events}
    proof = site.gateway.cli("proof", "--url", site.broker.url, "--gateway", "gw", "--for", "1s", "--json")
    assert (proof.code, proof.json) == (1, {"ok": False, "streams": [], "unproved": {"gw": "edgex"}})
    passed_over = site.gateway.cli("proof", "--config", str(site.gateway.config))
    assert passed_over.code == 2
    assert "edgex (edgex)" in passed_over.err
    wrong = site.gateway.cli("journal", "--format", "edgex", "--stream", "alarm")
    assert wrong.code == 2
