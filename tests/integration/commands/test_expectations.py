"""Values that must be what is expected, and reports at most once in an interval, over a running gateway."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model import DeviceState, Quality
from tests.integration.commands.conftest import Bench
from tests.support.eventually import eventually

DEVICE: dict[str, Any] = {
    "unit_id": 1,
    "tags": {
        "model": {"address": "holding/0", "type": "uint16", "expect": 1000},
        "ratio": {"address": "holding/2", "type": "uint16", "scale": 0.1, "expect": 100.2},
        "level": {"address": "holding/1", "type": "uint16"},
        "slow": {"address": "holding/40", "type": "uint16", "report_every": "1h"},
    },
}


@pytest.fixture
def devices() -> dict[str, Any]:
    return {"pump": DEVICE}


def state(bench: Bench) -> DeviceState:
    ((_, runner),) = bench.node.channels.runners()
    return runner.states()["pump"]


def shown(bench: Bench, path: str) -> tuple[Any, Quality]:
    row = bench.node.latest.current(bench.node.tags.get("pump", path))
    return row.value, row.quality


async def test_another_value_is_none_and_degrades_the_device_until_it_is_right_again(bench: Bench) -> None:
    await eventually(lambda: shown(bench, "model") == (1000, Quality.GOOD))
    assert shown(bench, "ratio") == (100.2, Quality.GOOD)
    bench.server.registers[1, 0] = 999
    await eventually(lambda: shown(bench, "model") == (None, Quality.BAD_CONFIG))
    assert state(bench) is DeviceState.DEGRADED
    assert shown(bench, "level") == (1001, Quality.GOOD), "only the tag itself is bad"
    ((_, runner),) = bench.node.channels.runners()
    assert runner.why(bench.node.tags.get("pump", "model")) == "model reads 999, 1000 is expected"
    assert runner.stats()["devices"]["pump"]["reason"] == "model reads 999, 1000 is expected"
    asked = await bench.ask("read", "pump", tags=["model", "level"])
    assert asked["items"]["model"] == {**asked["items"]["model"], "code": 422, "value": None, "quality": "bad/config"}
    assert asked["items"]["level"]["value"] == 1001
    bench.server.registers[1, 0] = 1000
    await eventually(lambda: state(bench) is DeviceState.ONLINE)
    await eventually(lambda: shown(bench, "model") == (1000, Quality.GOOD))
    assert runner.why(bench.node.tags.get("pump", "model")) == ""


async def test_a_tag_with_a_report_interval_is_polled_and_not_reported_again(bench: Bench) -> None:
    await eventually(lambda: shown(bench, "slow")[0] == 1040)
    bench.server.registers[1, 40] = 5
    before = bench.reads(40)
    await eventually(lambda: bench.reads(40) > before + 3)
    assert shown(bench, "slow") == (1040, Quality.GOOD)
    bench.server.mode = "silent"
    await eventually(lambda: shown(bench, "slow")[1] is Quality.BAD_COMM)
