"""The ops on alarms as commands by id, over a running gateway and a real Modbus device."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.local.handlers import handlers
from gateway.uplink.ports import LOCAL
from tests.drivers.modbus.fault_server import FaultServer
from tests.integration.commands.conftest import TAGS, Bench, online, running, write_config
from tests.support.eventually import eventually

ALARMS = {"full": {"tag": "level", "above": 900, "deadband": 50, "priority": "high", "text": "Level at {level}"}}
KEY = "full@pump"


@pytest.fixture
async def alarmed(tmp_path: Path) -> AsyncIterator[Bench]:
    """A pump and a fan with the same alarm; the pump's level is above its limit."""
    async with FaultServer().running() as server:
        server.registers.update({(1, 0): 950, (2, 0): 10})
        devices = {name: {"unit_id": unit, "tags": TAGS, "alarms": ALARMS} for unit, name in enumerate(("pump", "fan"), 1)}  # fmt: skip
        write_config(tmp_path / "config", tmp_path / "state", server.port, devices)
        async with running(tmp_path / "config") as node:
            made = Bench(node, server)
            await eventually(lambda: online(node) and states(made)[KEY] == "unack_active")
            yield made


def states(bench: Bench) -> dict[str, str]:
    return {row["key"]: row["state"] for row in bench.node.ruling.alarms(every=True)}


async def test_an_alarm_is_acknowledged_once_and_the_audit_log_has_both_states(alarmed: Bench) -> None:
    answer = await alarmed.ask("alarm_ack", "pump", id="full", comment="seen")
    assert (answer["state"], answer["code"]) == ("done", 200)
    assert answer["out"]["alarms"] == [{"key": KEY, "before": "unack_active", "state": "ack_active"}]
    again = await alarmed.ask("alarm_ack", id=KEY)
    assert (again["state"], again["code"]) == ("rejected", 409)
    await alarmed.node.store.commit()
    first, second = alarmed.entries("alarm_ack")
    assert (first["who"], first["rid"], first["alarm"], first["old"], first["new"]) == (
        "tester", "c1", KEY, "unack_active", "ack_active",
    )  # fmt: skip
    assert (second["state"], second["code"]) == ("rejected", 409)


@pytest.mark.parametrize(
    ("device", "args", "code"),
    [(None, {"id": "full"}, 400), (None, {"id": "empty"}, 404), ("nobody", {"id": "full"}, 404), ("pump", {}, 400)],
)
async def test_an_alarm_that_cannot_be_meant_is_rejected(
    alarmed: Bench, device: str | None, args: dict[str, Any], code: int
) -> None:
    answer = await alarmed.ask("alarm_ack", device, **args)
    assert (answer["state"], answer["code"]) == ("rejected", code)
    assert states(alarmed)[KEY] == "unack_active"


async def test_who_may_only_look_may_list_and_no_more(alarmed: Bench) -> None:
    listed = await alarmed.ask("alarm_list", "pump", via=LOCAL, scope="read", all=True)
    assert [row["key"] for row in listed["out"]["alarms"] if row["id"] == "full"] == [KEY]
    assert (await alarmed.ask("alarm_ack", via=LOCAL, scope="read", id=KEY))["code"] == 403


async def test_shelved_it_is_followed_underneath_and_comes_back_as_it_is_then(alarmed: Bench) -> None:
    answer = await alarmed.ask("alarm_shelve", id=KEY, **{"for": 3_600_000})
    assert answer["out"]["until"] > alarmed.node.clock.wall_ms()
    alarmed.server.registers[1, 0] = 10
    await eventually(lambda: not rows(alarmed)[KEY]["condition"])
    assert states(alarmed)[KEY] == "shelved"
    back = await alarmed.ask("alarm_unshelve", id=KEY)
    assert back["out"]["alarms"][0]["state"] == "normal"


def rows(bench: Bench) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in bench.node.ruling.alarms(every=True)}


async def test_the_local_ops_show_the_same_and_explain_it(alarmed: Bench) -> None:
    ops = handlers(alarmed.node)

    async def ask(op: str, **args: Any) -> Any:
        return json.loads(json.dumps(await ops[op].fn(args)))  # type: ignore[misc]

    assert [row["key"] for row in (await ask("alarms"))["alarms"] if row["id"] == "full"] == [KEY]
    status = await ask("status")
    assert (status["alarms"]["worst"]["key"], status["alarms"]["worst"]["text"]) == (KEY, "Level at 950")
    told = await ask("rule_why", name=KEY)
    (run,) = told["runs"]
    assert (run["begin"]["event"], run["begin"]["value"]) == ("active", 950)
    assert run["inputs"][0]["tag"] == "pump.level"
    assert run["readings"][-1]["value"] == 950
    assert (await ask("rules"))["rules"] == []
