"""Every JSON example of docs/reference/protocol.md parses with our own readers (W13)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgpack

from gateway.uplink.acks import parse_ack
from gateway.uplink.birth import birth_hash
from gateway.uplink.codecs.decode import decode_batch, decode_gap
from gateway.uplink.commands import parse_command

PAPER = Path(__file__).parents[3] / "docs" / "reference" / "protocol.md"


def examples() -> list[dict[str, Any]]:
    text = PAPER.read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", text, re.S)
    inline = re.findall(r"`(\{\"v\":1[^`…]*\})`", text)
    return [json.loads(line) for block in blocks for line in block.splitlines() if line.strip()] + [
        json.loads(line) for line in inline
    ]


def test_every_example_is_an_object_of_version_1_except_flat() -> None:
    found = examples()
    assert len(found) >= 18
    for example in found:
        assert example["v"] == 1 or set(example) == {"v", "q", "t"}


def test_batches_and_entries_decode_as_they_are_and_as_msgpack() -> None:
    batches = [example for example in examples() if "batches" in example or "entries" in example]
    assert len(batches) >= 4
    for example in batches:
        message = decode_batch(json.dumps(example).encode())
        assert message is not None, example
        assert (message.first, message.n) == (example["seq"], example["n"])


def test_the_json_and_native_examples_are_the_same_readings() -> None:
    telemetry = next(example for example in examples() if "batches" in example)
    native = next(example for example in examples() if "dt" in example)
    birth = next(example for example in examples() if "columns" in example)
    tags = {row[0]: (row[1], row[2], row[3]) for row in birth["tags"]}
    as_json = decode_batch(json.dumps(telemetry).encode())
    as_native = decode_batch(msgpack.packb(native))
    assert as_json is not None
    assert as_native is not None
    assert list(as_json.readings({})) == list(as_native.readings(tags))


def test_the_births_hash_can_be_recomputed() -> None:
    birth = next(example for example in examples() if "columns" in example)
    assert birth_hash(birth) == birth["hash"]


def test_gap_ack_and_command_examples_parse() -> None:
    gap, ack, command = (next(example for example in examples() if key in example) for key in ("why", "upto", "op"))
    assert decode_gap(json.dumps(gap).encode()) is not None
    assert parse_ack(json.dumps(ack).encode()) is not None
    assert parse_command(json.dumps(command).encode()) is not None
