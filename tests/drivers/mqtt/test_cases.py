"""Plays every exchange of cases/: each folder is the shape of a payload seen in the field. A new one is a new folder.

channel.yaml: a channel without driver and url. messages.yaml: `topic` with `text`, `json`, `hex` or `cbor`/`msgpack` (packed
here), `retain`. expect.yaml: `readings` in order, `sightings` (each is loaded as a
device, too), `states`, `remarks`, `counts` that are not 0 besides messages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cbor2
import msgpack
import msgspec
import pytest
import yaml

from gateway.abilities import Sighting
from tests.drivers.mqtt.kit import Bench, faults_of

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())


def payload_of(row: dict[str, Any]) -> bytes:
    if "hex" in row:
        return bytes.fromhex(row["hex"])
    if "json" in row:
        return json.dumps(row["json"]).encode()
    if "cbor" in row:
        return cbor2.dumps(row["cbor"])
    if "msgpack" in row:
        packed: bytes = msgpack.packb(row["msgpack"])
        return packed
    return str(row["text"]).encode()


def as_data(sighting: Sighting) -> dict[str, Any]:
    """A sighting as expect.yaml writes it."""
    row = {
        "identity": sighting.identity,
        "name": sighting.name,
        "properties": dict(sighting.properties),
        "keys": dict(sighting.keys),
        "tags": {name: dict(keys) for name, keys in sighting.tags.items()},
    }
    return {key: value for key, value in row.items() if value}


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_a_payload_from_the_field_becomes_the_readings_it_means(case: Path) -> None:
    bench = Bench((case / "channel.yaml").read_text())
    messages = yaml.safe_load((case / "messages.yaml").read_text())
    expect = yaml.safe_load((case / "expect.yaml").read_text())
    for row in messages:
        bench.take(row["topic"], payload_of(row), retain=row.get("retain", False))
    assert bench.readings() == expect.get("readings", [])
    assert len(bench.confirmed) == len(messages), "every message is acknowledged"
    seen = {sighting.identity: sighting for sighting in bench.ctx.sightings}
    assert [as_data(each) for each in seen.values()] == expect.get("sightings", [])
    for sighting in seen.values():
        assert faults_of({"devices": {"new": {**sighting.keys, "tags": dict(sighting.tags)}}}) == []
    if "states" in expect:
        assert [list(state) for state in bench.ctx.states] == expect["states"]
    assert bench.ctx.remarks == expect.get("remarks", {})
    counts = {name: count for name, count in msgspec.structs.asdict(bench.inbox.counts).items() if count}
    counts.pop("messages")
    assert counts == expect.get("counts", {})
