"""Plays every case of cases/: adverts in hex, as the formats' documents show them or as they were seen, and what becomes of
them. A new format or bug is a new folder, no new code.

adverts.txt: `SECONDS ADDRESS HEX`, one advert a line, its AD structures in hex; `#` begins a comment. channel.yaml: a
channel, or `profile:` names of the library besides. expect.yaml: per device the readings in order as [ms, {tag: value}],
`bad` qualities by tag, `events` as [what, fields], `issues`, `sighted` (kind of each device that is not configured).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from drivers.ble.driver import BleDriver
from drivers.ble.station import Station
from gateway.library import profile_texts
from gateway.model import Quality
from gateway.testing import FakeContext, ManualClock
from tests.drivers.ble.kit import advert_of, channel_of
from tests.support.parts import require

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())
_BEGIN = 1_800_000_000_000


async def play(case: Path) -> dict[str, Any]:
    """What the adverts of a case become."""
    library = profile_texts("ble")
    context = FakeContext(channel_of((case / "channel.yaml").read_text(), library), ManualClock(_BEGIN))
    driver = BleDriver()
    driver._ctx = context  # noqa: SLF001 - the radio's side of the driver, without a radio
    for device in context.devices:
        station = driver._stations[device.id] = Station(context, device, driver._counts)  # noqa: SLF001
        if station.address:
            driver._by_address[station.address] = station  # noqa: SLF001
    driver._matching = [each for each in driver._stations.values() if each.matcher is not None]  # noqa: SLF001
    for line in (case / "adverts.txt").read_text().splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        clock = context.clock
        await clock.advance(float(words[0]) - (clock.wall_ms() - _BEGIN) / 1000)
        data, now = "".join(words[2:]), clock.wall_ms()
        driver._heard(advert_of(data, address=words[1], ts=now, mono=clock.mono()))  # noqa: SLF001
    await context.clock.advance(60)
    return seen(context)


def seen(context: FakeContext) -> dict[str, Any]:
    found: dict[str, Any] = {"readings": [], "bad": {}}
    for batch in context.batches:
        values = {tag.name: plain(value) for tag, value in zip(batch.tags, batch.values, strict=True)}
        codes = batch.quality or [0] * len(batch)
        found["bad"] |= {tag.name: Quality(code).text for tag, code in zip(batch.tags, codes, strict=True) if code}
        found["readings"].append([batch.ts - _BEGIN, values])
    found["events"] = [[what, {k: v for k, v in fields.items() if k != "ts"}] for _, what, fields in context.events]
    found["issues"] = list(context.issues.values())
    found["sighted"] = [each.properties["kind"] for each in context.sightings]
    return {key: value for key, value in found.items() if value}


def plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_adverts_become_what_is_expected(case):
    require("bthome_ble")
    assert await play(case) == yaml.safe_load((case / "expect.yaml").read_text())


def test_there_are_cases_and_each_has_its_files():
    assert len(CASES) >= 10
    for case in CASES:
        assert {path.name for path in case.iterdir()} == {"adverts.txt", "channel.yaml", "expect.yaml", "README"}
