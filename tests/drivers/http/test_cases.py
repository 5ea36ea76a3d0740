"""What devices of the field answer, in the shapes that their makers document, and what must come out of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.model import Quality
from tests.drivers.http.kit import answer, channel_of, driving, found, saying, tag_spec

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_an_answer_of_the_field_gives_these_values(path) -> None:
    case = json.loads(path.read_text())
    tags = [tag_spec(name, keys.pop("kind"), **keys) for name, keys in case["tags"].items()]
    async with (
        saying(lambda head, _: answer(json.dumps(case["answer"]))) as server,
        driving(channel_of(server.port, *tags, device=case["device"])) as (driver, context),
    ):
        got = await found(driver, context)
    assert {name: [value, Quality(code).name] for name, (value, code, _) in got.items()} == case["expected"]
    assert {ts for _, _, ts in got.values()} == {case["ts"]}
