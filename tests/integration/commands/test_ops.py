"""The op table over a running gateway and a real Modbus device: each op, its limits, its answers."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from gateway.runtime.diagnostics import MAX_BYTES, without_secrets
from gateway.runtime.loglevels import LogLevels
from gateway.testing import ManualClock
from tests.integration.commands.conftest import Bench, online
from tests.support.eventually import eventually


async def test_a_write_is_written_once_read_back_and_told_per_item(bench: Bench) -> None:
    answer = await bench.ask("write", "pump", values={"speed": 7, "mode": 2})
    assert (answer["state"], answer["code"]) == ("done", 200)
    assert answer["items"]["speed"] == {"code": 200, "value": 7, "verified": True}
    assert sorted(bench.writes()) == [(1, 10, 7), (1, 11, 2)]
    await bench.node.store.commit()
    assert {entry["rid"] for entry in bench.entries("write")} == {"c1"}


async def test_one_bad_item_means_that_nothing_is_written(bench: Bench) -> None:
    answer = await bench.ask("write", "pump", values={"mode": 2, "speed": 5000})
    assert (answer["state"], answer["code"]) == ("rejected", 422)
    assert answer["items"]["mode"]["code"] == 400
    assert bench.writes() == []


async def test_what_the_device_refuses_in_part_is_207(bench: Bench) -> None:
    bench.server.unknown_functions |= {5, 15}
    answer = await bench.ask("write", "pump", values={"mode": 3, "only": True})
    assert (answer["state"], answer["code"]) == ("failed", 207)
    assert {path: item["code"] for path, item in answer["items"].items()} == {"mode": 200, "only": 422}


async def test_a_momentary_tag_and_one_that_can_only_be_written_are_written_by_command(bench: Bench) -> None:
    answer = await bench.ask("write", "pump", values={"reset": True, "only": True})
    assert answer["code"] == 200
    assert sorted(address for _, address, _ in bench.writes()) == [20, 21]


async def test_a_read_asks_the_device_now_and_tells_what_each_tag_brought(bench: Bench) -> None:
    answer = await bench.ask("read", "pump", tags=["level", "rare", "only", "none"])
    assert (answer["state"], answer["code"]) == ("failed", 207)
    assert answer["items"]["level"]["value"] == 1000
    assert answer["items"]["rare"] == {**answer["items"]["rare"], "code": 200, "value": 1030, "quality": "good"}
    assert {path: item["code"] for path, item in answer["items"].items()} == {
        "level": 200, "rare": 200, "only": 403, "none": 404,
    }  # fmt: skip
    everything = await bench.ask("read", "pump")
    assert everything["code"] == 200
    assert set(everything["items"]) == {"level", "flow", "speed", "mode", "reset", "rare"}


async def test_a_device_that_is_away_fails_at_once_and_nothing_reaches_it(bench: Bench) -> None:
    bench.server.mode = "silent"
    await eventually(lambda: not online(bench.node), within=20)
    await eventually(
        lambda: (
            {str(s) for _, r in bench.node.channels.runners() for s in r.states().values()} <= {"offline", "demoted"}
        ),
        within=20,
    )
    answer = await bench.ask("write", "pump", values={"speed": 9})
    assert (answer["state"], answer["code"]) == ("failed", 504)
    assert (await bench.ask("read", "pump", tags=["level"]))["code"] == 504
    assert bench.writes() == []


async def test_refresh_puts_current_values_into_telemetry_once_more(bench: Bench) -> None:
    before = bench.node.store.stats()["streams"]["telemetry"]["last"]
    answer = await bench.ask("refresh", "pump")
    assert answer["out"]["readings"] >= 5
    assert bench.node.store.stats()["streams"]["telemetry"]["last"] >= before + 5


@pytest.mark.parametrize(
    ("op", "device", "args", "code"),
    [
        ("fly", "pump", {}, 404),
        ("alarm_ack", None, {"id": "x"}, 404),
        ("write", None, {"values": {"speed": 1}}, 400),
        ("write", "nobody", {"values": {"speed": 1}}, 404),
        ("write", "pump", {"values": {}}, 400),
        ("write", "pump", {"values": {"x": 1}}, 404),
        ("write", "pump", {"values": {"level": 1}}, 403),
        ("write", "pump", {"values": {f"t{i}": 1 for i in range(501)}}, 413),
        ("read", "pump", {"tags": "level"}, 400),
        ("read", "pump", {"tags": [f"t{i}" for i in range(501)]}, 413),
        ("demote", "pump", {}, 400),
        ("demote", "pump", {"for": 0}, 400),
        ("demote", "pump", {"for": True}, 400),
        ("demote", "pump", {"for": 10**12}, 400),
        ("interval", "pump", {"every": 100}, 400),
        ("interval", "pump", {"every": 1, "for": 1000}, 400),
        ("interval", "pump", {"every": 100, "for": 1000, "tags": ["x"]}, 404),
        ("interval", "pump", {"every": 100, "for": 1000, "tags": ["rare", "level"]}, 422),
        ("interval", "pump", {"every": 100, "for": 1000, "group": "x"}, 404),
        ("force", "pump", {"values": {"level": 1}}, 400),
        ("force", "pump", {"values": {"level": "x"}, "for": 1000}, 400),
        ("maintenance", "pump", {"on": True}, 400),
        ("maintenance", "pump", {"for": 1000}, 400),
        ("restart_channel", None, {"channel": "x"}, 404),
        ("restart_channel", None, {}, 400),
        ("rescan", None, {"channel": "nowhere"}, 404),
        ("call", "pump", {"method": "home"}, 404),
        ("resend", None, {"stream": "x", "epoch": 1, "from": 1, "to": 2}, 404),
        ("resend", None, {"stream": "event", "epoch": 1, "from": 3, "to": 2}, 400),
        ("resend", None, {"stream": "event", "epoch": 1, "from": 1, "to": 10**7}, 413),
        ("resend", None, {"stream": "event", "epoch": 1, "from": 1, "to": 2}, 404),
        ("diagnostics", None, {"parts": ["secrets"]}, 404),
        ("log_level", None, {"level": "DEBUG"}, 400),
        ("log_level", None, {"level": "LOUD", "for": 1000}, 400),
        ("log_level", None, {"level": "DEBUG", "logger": "mqtt", "for": 1000}, 404),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_is_refused_with_its_code_and_a_text(bench, op, device, args, code) -> None:
    answer = await bench.ask(op, device, **args)
    assert (answer["state"], answer["code"]) == ("rejected", code), answer
    assert answer.get("text") or any(item.get("text") for item in answer["items"].values())
    assert bench.writes() == []


async def test_a_caller_at_the_socket_needs_the_scope_of_the_op_and_the_cloud_has_them_all(bench: Bench) -> None:
    assert (await bench.ask("write", "pump", via="local", scope="read", values={"speed": 1}))["code"] == 403
    assert (await bench.ask("diagnostics", via="local", scope="operate"))["code"] == 403
    assert (await bench.ask("read", "pump", via="local", scope="read", tags=["level"]))["code"] == 200
    assert (await bench.ask("diagnostics"))["code"] == 200
    assert bench.writes() == []


async def test_another_interval_is_kept_for_a_while_and_ends_by_itself(bench: Bench) -> None:
    assert bench.reads(500) == 1, "the slow group was read once at the start"
    answer = await bench.ask("interval", "pump", group="slow", every=50, **{"for": 1000})
    assert answer["out"] == {"tags": 1}
    await eventually(lambda: bench.reads(500) > 4)
    every = {
        row["text"]: row["every_ms"] for row in bench.node.channels.runner("wire").reads("pump")["pump"]["requests"]
    }
    assert 50.0 in every.values()
    fan = {row["every_ms"] for row in bench.node.channels.runner("wire").reads("fan")["fan"]["requests"]}
    assert fan == {100.0, 3_600_000.0}, "only the device that was named"

    def back() -> bool:
        rows = bench.node.channels.runner("wire").reads("pump")["pump"]["requests"]
        return {row["every_ms"] for row in rows} == {100.0, 3_600_000.0}

    await eventually(back)


async def test_a_demoted_device_is_not_polled_until_it_is_promoted(bench: Bench) -> None:
    assert (await bench.ask("demote", "pump", **{"for": 600_000}))["code"] == 200
    assert bench.node.channels.runner("wire").states()["pump"] == "demoted"
    seen, others = bench.reads(0), bench.reads(0, 2)
    await eventually(lambda: bench.reads(0, 2) > others + 3)
    assert bench.reads(0) <= seen + 1
    assert (await bench.ask("promote", "pump"))["code"] == 200
    await eventually(lambda: bench.node.channels.runner("wire").states()["pump"] == "online")


async def test_a_forced_tag_shows_its_value_until_null_ends_it(bench: Bench) -> None:
    tag = bench.node.tags.find("pump.level")
    refused = await bench.ask("force", "pump", values={"level": 5, "x": 1}, **{"for": 60_000})
    assert (refused["code"], refused["items"]["level"]["code"]) == (404, 400)
    assert not bench.node.forces.holds
    answer = await bench.ask("force", "pump", values={"level": 5}, **{"for": 60_000})
    assert answer["items"] == {"level": {"code": 200}}
    assert bench.node.latest.current(tag).value == 5
    assert (await bench.ask("force", "pump", values={"level": None}))["code"] == 200
    assert not bench.node.forces.holds
    await bench.node.store.commit()
    assert [entry["via"] for entry in bench.entries("force")] == ["command"]


async def test_maintenance_refuses_writes_from_afar_until_it_is_over(bench: Bench) -> None:
    assert (await bench.ask("maintenance", "pump", on=True, **{"for": 60_000}))["code"] == 200
    assert (await bench.ask("write", "pump", values={"speed": 1}))["code"] == 403
    assert (await bench.ask("write", "pump", via="local", scope="operate", values={"speed": 1}))["code"] == 200
    assert (await bench.ask("maintenance", "pump", on=False))["out"] == {"ended": True}
    assert (await bench.ask("write", "pump", values={"speed": 2}))["code"] == 200


async def test_a_channel_is_restarted_and_its_devices_come_back(bench: Bench) -> None:
    connections, runner = bench.server.connections, bench.node.channels.runner("wire")
    answer = await bench.ask("restart_channel", channel="wire")
    assert answer["code"] == 200
    await eventually(lambda: bench.server.connections > connections and online(bench.node))
    assert bench.node.channels.runner("wire") is not runner
    assert (await bench.ask("write", "pump", values={"speed": 3}))["code"] == 200
    assert bench.node.health.open() == []


async def test_diagnostics_name_versions_memory_units_issues_and_status(bench: Bench) -> None:
    bench.node.health.set("broken", "x", "cannot reach mqtt://user:geheim@broker:1883", "")
    answer = await bench.ask("diagnostics")
    out = answer["out"]
    assert set(out) == {"versions", "memory", "issues", "units", "status"}
    assert out["memory"]["VmRSS"] > 1_000_000
    assert out["units"]["commands"]["state"] == "running"
    assert "geheim" not in json.dumps(answer)
    few = await bench.ask("diagnostics", parts=["versions"])
    assert set(few["out"]) == {"versions"}


async def test_diagnostics_that_are_too_large_leave_out_what_does_not_fit(bench: Bench) -> None:
    for i in range(3000):
        bench.node.health.set("broken", f"e{i}", "x" * 100, "")
    answer = await bench.ask("diagnostics")
    assert answer["out"]["left_out"] == ["issues"]
    assert len(json.dumps(answer)) < MAX_BYTES


def test_what_is_called_a_secret_is_not_told():
    said = without_secrets({"password": "x", "a": [{"api_token": "y", "url": "wss://me:z@h/p", "user": "me"}], "n": 1})
    assert said == {"password": "***", "a": [{"api_token": "***", "url": "wss://***@h/p", "user": "me"}], "n": 1}


async def test_a_log_level_ends_by_itself_and_a_second_one_keeps_what_was_before():
    clock = ManualClock()
    levels, log = LogLevels(clock), logging.getLogger("fieldpost.test")
    log.setLevel("WARNING")
    levels.set("fieldpost.test", "DEBUG", 10)
    await clock.advance(5)
    levels.set("fieldpost.test", "ERROR", 10)
    await clock.advance(6)
    assert log.level == logging.ERROR
    await clock.advance(5)
    assert log.level == logging.WARNING


async def test_the_same_id_five_times_over_both_ways_is_one_write(bench: Bench) -> None:
    from gateway.uplink.commandrow import Reply
    from gateway.uplink.commands import CommandMessage
    from gateway.uplink.ports import Caller

    command = CommandMessage(1, "one", "write", "pump", {"values": {"reset": True}})
    desk = bench.node.desk
    taken = [desk.take(command, Caller("cloud", uplink=name), Reply(name)) for name in ("a", "b")]
    asked = [desk.ask(command, Caller("anna", "local", "operate")) for _ in range(3)]
    answers = await asyncio.gather(*taken, *asked)
    assert len({*answers[2:]}) == 1
    await eventually(lambda: desk.outbox.box("a").owed and desk.outbox.box("b").owed)
    assert desk.result("one") == answers[2]
    assert [address for _, address, _ in bench.writes()] == [20]
